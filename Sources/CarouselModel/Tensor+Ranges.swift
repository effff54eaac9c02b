extension Tensor {
  /// A tensor of the elements in ranges of row-major indices, one range behind the other.
  package func gathering(_ ranges: some Sequence<Range<Int>>, as shape: Shape) -> Tensor {
    func gathered<Element>(_ elements: [Element]) -> [Element] {
      var result: [Element] = []
      result.reserveCapacity(shape.count)
      for range in ranges { result += elements[range] }
      return result
    }
    return switch elements {
    case .float32(let floats): Tensor(shape, .float32(gathered(floats)))
    case .float64(let doubles): Tensor(shape, .float64(gathered(doubles)))
    }
  }

  /// The part at one index of the outermost dimension, of one dimension less.
  package func part(_ index: Int) -> Tensor {
    let part = Shape(Array(shape.dimensions.dropFirst()))
    return gathering(CollectionOfOne(index * part.count..<(index + 1) * part.count), as: part)
  }

  /// A tensor of the elements of several, one behind the other; Float32 where all of them are.
  package init(joining parts: [Tensor], as shape: Shape) {
    let floats = parts.compactMap { part in
      if case .float32(let floats) = part.elements { floats } else { nil }
    }
    self.init(
      shape,
      floats.count == parts.count
        ? .float32(Array(floats.joined())) : .float64(parts.flatMap(\.values)))
  }

  /// Sets the elements in a range of row-major indices to `value`, rounded to the tensor's type.
  package mutating func fill(_ range: Range<Int>, with value: Double) {
    // The array leaves the tensor meanwhile, so that it has one owner and is changed in place.
    switch elements {
    case .float32(var floats):
      elements = .float32([])
      for index in range { floats[index] = Float(value) }
      elements = .float32(floats)
    case .float64(var doubles):
      elements = .float64([])
      for index in range { doubles[index] = value }
      elements = .float64(doubles)
    }
  }

  /// The index of the first element that is not finite in `type`; nil where there is none.
  package func firstNonFinite(in type: ElementType) -> Int? {
    switch elements {
    case .float32(let floats): floats.firstIndex { !$0.isFinite }
    case .float64(let doubles):
      type == .float32
        ? doubles.firstIndex { !Float($0).isFinite } : doubles.firstIndex { !$0.isFinite }
    }
  }

  /// How many elements are not finite in Float32.
  package var nonFiniteCount: Int {
    switch elements {
    case .float32(let floats): floats.count { !$0.isFinite }
    case .float64(let doubles): doubles.count { !Float($0).isFinite }
    }
  }
}
