import CarouselModel

/// Puts examples side by side along the axis `"N"` of a graph's inputs, see `TrainingData`.
struct ExampleBatcher {
  /// The inputs that every example gives.
  private let inputs: [GraphInput]
  /// What an input is filled up with where that is not 0.
  private let padding: [String: Double]
  /// Whether the graph can be told how long sequences are.
  private let takesLengths: Bool

  /// Reads from a graph what its examples have to be; `shared` inputs are given otherwise.
  init(_ graph: Graph, shared: [String: GraphTensor]) {
    inputs = graph.inputs.filter { shared[$0.name] == nil }
    var padding: [String: Double] = [:]
    for node in graph.nodes {
      guard case .loss(.crossEntropy) = node.operation, node.inputs.count > 1,
        let classes = node.inputs[1]
      else { continue }
      padding[classes] = -1
    }
    self.padding = padding
    takesLengths = inputs.contains { input in
      input.type.isWhole && input.dimensions == ["N"] && padding[input.name] == nil
    }
  }

  /// The examples of data at some indices as the graph's inputs.
  ///
  /// Throws `badData` where an example lacks an input, or has one of another shape or with NaN, and where
  /// examples that differ in length meet a graph without lengths.
  func batch(
    _ data: any TrainingData, _ indices: [Int]
  ) throws -> [String: GraphTensor] {
    let examples = try indices.map { index in
      let example = try data.example(index)
      try check(example, index)
      return example
    }
    if let example = examples.first, indices.count == 1, isWholePass(example) { return example }
    let extents = try self.extents(examples, indices)
    var result: [String: GraphTensor] = [:]
    for input in inputs {
      result[input.name] = try stack(input, examples.map { $0[input.name] }, indices, extents)
    }
    return result
  }

  /// Whether the tensors of an example have all axes of the inputs.
  func isWholePass(_ example: [String: GraphTensor]) -> Bool {
    inputs.allSatisfy { input in
      input.dimensions.map { $0.count == example[input.name]?.shape.rank } ?? true
    }
  }

  private func check(_ example: [String: GraphTensor], _ index: Int) throws(CarouselError) {
    for input in inputs {
      guard let tensor = example[input.name] else {
        throw CarouselError(
          .badData,
          "example \(index): expected a tensor '\(input.name)', found "
            + (example.isEmpty
              ? "none" : example.keys.sorted().map { "'\($0)'" }.joined(separator: ", ")))
      }
      if let place = tensor.values.firstIndex(where: \.isNaN) {
        throw CarouselError(
          .badData,
          "example \(index): expected numbers in '\(input.name)', found NaN at element \(place)")
      }
    }
    for name in example.keys.sorted() where !inputs.contains(where: { $0.name == name }) {
      throw CarouselError(
        .badData,
        "example \(index): the graph has no input '\(name)', expected "
          + inputs.map { "'\($0.name)'" }.joined(separator: ", "))
    }
  }

  /// The extents of named axes that all examples fit.
  private func extents(
    _ examples: [[String: GraphTensor]], _ indices: [Int]
  ) throws(CarouselError) -> [String: Int] {
    var result: [String: Int] = [:]
    var ragged: [String: (Int, Int)] = [:]
    for (example, index) in zip(examples, indices) {
      var own: [String: Int] = [:]
      for input in inputs {
        guard let tensor = example[input.name] else { continue }
        let axes = try axes(of: input, tensor.shape, index)
        for (axis, extent) in zip(axes, tensor.shape.dimensions) {
          guard case .symbol(let name) = axis else { continue }
          guard own[name, default: extent] == extent else {
            throw failure(input, tensor.shape, index, "\(name) = \(own[name] ?? 0)")
          }
          own[name] = extent
        }
      }
      for (name, extent) in own {
        if let other = result[name], other != extent { ragged[name] = (other, extent) }
        result[name] = max(result[name] ?? 0, extent)
      }
    }
    if let (name, (one, other)) = ragged.min(by: { $0.key < $1.key }), !takesLengths {
      throw CarouselError(
        .badData,
        "examples have \(one) and \(other) of \(name), expected all alike or a graph with their lengths as "
          + "an input, whole numbers [N]")
    }
    for name in ragged.keys { result[name] = Self.roundedUp(result[name] ?? 0) }
    return result
  }

  /// The axes of an input but that of the batch; throws where a shape does not fit them.
  private func axes(
    of input: GraphInput, _ shape: Shape, _ index: Int
  ) throws(CarouselError) -> [Dimension] {
    let axes = (input.dimensions ?? []).filter { $0 != "N" }
    let fits =
      axes.count + 1 == input.dimensions?.count && axes.count == shape.rank
      && zip(axes, shape.dimensions).allSatisfy { axis, extent in
        if case .fixed(let expected) = axis { expected == extent } else { true }
      }
    guard fits else { throw failure(input, shape, index) }
    return axes
  }

  private func failure(
    _ input: GraphInput, _ shape: Shape, _ index: Int, _ reason: String? = nil
  ) -> CarouselError {
    let axes = (input.dimensions ?? []).filter { $0 != "N" }
    let hasBatch = axes.count < input.dimensions?.count ?? 0
    return CarouselError(
      .badData,
      "example \(index): '\(input.name)' has the shape \(shape), expected "
        + (hasBatch
          ? "[\(axes.map(\.description).joined(separator: ", "))]"
            + (reason.map { " with \($0) as in the other tensors" } ?? "")
          : "an input of the graph with an axis N, or to be among what examples share"))
  }

  /// So large that batches come in few sizes: at most a quarter more.
  static func roundedUp(_ extent: Int) -> Int {
    var step = 1
    while extent > 8 * step { step *= 2 }
    return (extent + step - 1) / step * step
  }

  /// Tensors side by side.
  private func stack(
    _ input: GraphInput, _ tensors: [GraphTensor?], _ indices: [Int], _ extents: [String: Int]
  ) throws(CarouselError) -> GraphTensor {
    let dimensions = input.dimensions ?? []
    var shape: [Int] = []
    for (axis, dimension) in dimensions.enumerated() {
      switch dimension {
      case "N": shape.append(tensors.count)
      case .fixed(let extent): shape.append(extent)
      case .symbol(let name): shape.append(extents[name] ?? 0)
      case .unknown:
        let place = dimensions[..<axis].count { $0 != "N" }
        shape.append(tensors.reduce(0) { max($0, $1?.shape[place] ?? 0) })
      }
    }
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    let batch = dimensions.firstIndex(of: "N") ?? 0
    let step = strides.remove(at: batch)
    var values = [Double](repeating: padding[input.name] ?? 0, count: shape.reduce(1, *))
    for (n, tensor) in tensors.enumerated() {
      guard let tensor else { continue }
      var reader = tensor.values.makeIterator()
      Self.copy(&reader, tensor.shape.dimensions[...], strides[...], to: n * step, of: &values)
    }
    return GraphTensor(try Tensor(shape: Shape(shape), values: values), type: input.type)
  }

  private static func copy(
    _ reader: inout [Double].Iterator, _ extents: ArraySlice<Int>, _ strides: ArraySlice<Int>,
    to offset: Int, of values: inout [Double]
  ) {
    guard let extent = extents.first, let stride = strides.first else {
      if let value = reader.next() { values[offset] = value }
      return
    }
    for index in 0..<extent {
      let place = offset + index * stride
      if extents.count == 1 {
        if let value = reader.next() { values[place] = value }
      } else {
        copy(&reader, extents.dropFirst(), strides.dropFirst(), to: place, of: &values)
      }
    }
  }
}
