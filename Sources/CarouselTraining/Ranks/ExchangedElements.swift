import CarouselModel

extension Tensor.Elements {
  /// Elements one behind the other, all stored alike.
  init(joining parts: [Tensor.Elements]) {
    var (floats, doubles) = ([Float](), [Double]())
    for part in parts {
      switch part {
      case .float32(let values): floats += values
      case .float64(let values): doubles += values
      }
    }
    self = doubles.isEmpty ? .float32(floats) : .float64(doubles)
  }

  /// Those of a range.
  func slice(_ range: Range<Int>) -> Tensor.Elements {
    switch self {
    case .float32(let values): .float32(Array(values[range]))
    case .float64(let values): .float64(Array(values[range]))
    }
  }

  /// The sums of as many elements stored alike, as a device rounds them.
  func adding(_ other: Tensor.Elements) -> Tensor.Elements {
    func sums<Value: FloatingPoint>(_ a: [Value], _ b: [Value]) -> [Value] {
      [Value](unsafeUninitializedCapacity: a.count) { result, filled in
        for index in a.indices { result.initializeElement(at: index, to: a[index] + b[index]) }
        filled = a.count
      }
    }
    switch (self, other) {
    case (.float32(let a), .float32(let b)): return .float32(sums(a, b))
    case (.float64(let a), .float64(let b)): return .float64(sums(a, b))
    default: preconditionFailure("elements that are stored in two ways")
    }
  }

  /// The elements of every rank, those of rank 0 first.
  func gathered(by ranks: any Communicator, counts: [Int]) throws -> Tensor.Elements {
    switch self {
    case .float32(let values): .float32(try ranks.gather(values, counts: counts))
    case .float64(let values): .float64(try ranks.gather(values, counts: counts))
    }
  }
}

extension ParameterStore {
  /// Gives the parameters of rank 0 to every rank.
  func share(by ranks: any Communicator) throws {
    guard ranks.count > 1, count > 0 else { return }
    let own = try backend.readTensor(values, [count]).elements
    let counts = [count] + [Int](repeating: 0, count: ranks.count - 1)
    let all = try (ranks.isFirst ? own : own.slice(0..<0)).gathered(by: ranks, counts: counts)
    if !ranks.isFirst { try backend.write(Tensor([count], all), to: values) }
  }
}
