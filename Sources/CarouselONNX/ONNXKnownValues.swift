import CarouselFormats
import CarouselModel

/// What is known before anything runs: initializers, and what views and casts make of them.
///
/// Weights of recurrent layers have to be known, and exporters put such nodes between them and the file's
/// initializers. Shape arithmetic is not computed here, but where a graph is bound.
extension ONNXImporter {
  /// The values of a tensor; nil where they are not known.
  func known(_ name: String) throws(CarouselError) -> GraphTensor? {
    try known(name, in: scope, depth: 0)
  }

  /// The values of an input of a node that have to be known.
  func requiredKnown(_ node: ONNXNode, _ index: Int) throws(CarouselError) -> GraphTensor {
    let name = try node.requiredInput(index)
    guard let value = try known(name) else {
      throw node.failure("needs '\(name)' to be an initializer, but it is computed")
    }
    return value
  }

  private func known(
    _ name: String, in scope: ONNXScope, depth: Int
  ) throws(CarouselError) -> GraphTensor? {
    if let (proto, _) = scope.initializer(name) {
      let (tensor, type) = try value(proto)
      return GraphTensor(tensor, type: type)
    }
    guard let (node, scope) = scope.maker(name) else { return try givenInput(name) }
    guard depth < 64, node.domain.isEmpty else { return nil }
    if node.operation == "Constant" { return try constantValue(node) }
    guard Self.foldable.contains(node.operation), node.outputs.count == 1 else { return nil }
    var inputs: [GraphTensor?] = []
    for input in node.inputs {
      guard let input else {
        inputs.append(nil)
        continue
      }
      guard let value = try known(input, in: scope, depth: depth + 1) else { return nil }
      inputs.append(value)
    }
    return try fold(node, inputs)
  }

  private static let foldable: Set = [
    "Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Concat", "Slice",
    "DequantizeLinear",
  ]

  private func fold(
    _ node: ONNXNode, _ inputs: [GraphTensor?]
  ) throws(CarouselError) -> GraphTensor? {
    guard let first = inputs.first ?? nil else { return nil }
    let rank = first.shape.rank
    func axes(_ index: Int) throws(CarouselError) -> [Int]? {
      let list = try node.ints("axes")
      if let list { return list }
      return index < inputs.count ? inputs[index]?.values.map { Int($0) } : nil
    }
    func shaped(_ dimensions: [Int]) throws(CarouselError) -> GraphTensor? {
      guard dimensions.allSatisfy({ $0 >= 0 }), Shape.count(of: dimensions) == first.shape.count
      else {
        throw node.failure("makes \(dimensions) of \(first.shape)")
      }
      return GraphTensor(
        try Tensor(shape: try Shape(dimensions: dimensions), values: first.values),
        type: first.type)
    }
    switch node.operation {
    case "Identity": return first
    case "Cast":
      guard let type = Self.type(Int32(clamping: try node.int("to", 0))), type.isReal else {
        return nil
      }
      return GraphTensor(first.tensor, type: type)
    case "Unsqueeze":
      guard let axes = try axes(1) else { return nil }
      let outer = rank + axes.count
      let places = Set(axes.map { $0 < 0 ? $0 + outer : $0 })
      guard places.count == axes.count, places.allSatisfy({ 0..<outer ~= $0 }) else { return nil }
      var rest = first.shape.dimensions[...]
      return try shaped((0..<outer).map { places.contains($0) ? 1 : rest.removeFirst() })
    case "Squeeze":
      let places = Set(
        try axes(1)?.map { $0 < 0 ? $0 + rank : $0 }
          ?? (0..<rank).filter { first.shape[$0] == 1 })
      return try shaped(
        first.shape.dimensions.enumerated().filter { !places.contains($0.offset) }.map(\.element))
    case "Reshape":
      guard inputs.count > 1, let wanted = inputs[1]?.values.map({ Int($0) }) else { return nil }
      var extents = wanted.enumerated().map { index, extent in
        extent == 0 && index < rank ? first.shape[index] : extent
      }
      if let open = extents.firstIndex(of: -1) {
        extents[open] = 1
        let rest = Shape.count(of: extents.map { max($0, 0) }) ?? 0
        extents[open] = rest == 0 ? 0 : first.shape.count / rest
      }
      return try shaped(extents)
    case "Transpose":
      let order = try node.ints("perm") ?? (0..<rank).reversed()
      guard order.sorted() == Array(0..<rank) else { return nil }
      return GraphTensor(first.tensor.transposed(order), type: first.type)
    case "Concat":
      let axis = try node.int("axis", 0)
      let parts = inputs.compactMap { $0?.tensor }
      return Tensor.concatenated(parts, axis: axis < 0 ? axis + rank : axis)
        .map { GraphTensor($0, type: first.type) }
    case "Slice": return try sliced(node, inputs)
    case "DequantizeLinear": return try dequantized(node, inputs)
    default: return nil
    }
  }

  /// A part with steps of 1 along each axis.
  private func sliced(
    _ node: ONNXNode, _ inputs: [GraphTensor?]
  ) throws(CarouselError) -> GraphTensor? {
    guard let x = inputs[0] else { return nil }
    func list(_ name: String, _ index: Int) throws(CarouselError) -> [Int]? {
      if let values = try node.ints(name) { return values }
      return index < inputs.count ? inputs[index]?.values.map { Int($0) } : nil
    }
    let rank = x.shape.rank
    guard let starts = try list("starts", 1), let ends = try list("ends", 2),
      starts.count == ends.count, try list("steps", 4)?.allSatisfy({ $0 == 1 }) ?? true
    else { return nil }
    let axes = try list("axes", 3) ?? Array(starts.indices)
    guard axes.count == starts.count else { return nil }
    var result = x.tensor
    for (index, given) in axes.enumerated() {
      let axis = given < 0 ? given + rank : given
      guard 0..<rank ~= axis else { return nil }
      let extent = result.shape[axis]
      func place(_ value: Int) -> Int { min(max(value < 0 ? value + extent : value, 0), extent) }
      let start = place(starts[index])
      result = result.part(axis: axis, start..<max(start, place(ends[index])))
    }
    return GraphTensor(result, type: x.type)
  }

  private func dequantized(
    _ node: ONNXNode, _ inputs: [GraphTensor?]
  ) throws(CarouselError) -> GraphTensor? {
    guard inputs.count >= 2, let x = inputs[0], let scale = inputs[1] else { return nil }
    // What comes of whole numbers has no place in the file.
    if !placeBegins.isEmpty {
      return GraphTensor(Tensor(x.shape, [Double](repeating: 0, count: x.shape.count)))
    }
    let zero = inputs.count > 2 ? inputs[2] : nil
    let axis = try node.int("axis", 1)
    let place = axis < 0 ? axis + x.shape.rank : axis
    let isWhole = scale.shape.count == 1
    guard isWhole || 0..<x.shape.rank ~= place && x.shape[place] == scale.shape.count,
      zero.map({ $0.shape.count == scale.shape.count }) ?? true
    else { return nil }
    let stride = isWhole ? 1 : x.shape.dimensions[(place + 1)...].reduce(1, *)
    let values = x.values.enumerated().map { index, value in
      let channel = isWhole ? 0 : index / stride % scale.shape.count
      return Double(Float((value - (zero?.values[channel] ?? 0)) * scale.values[channel]))
    }
    return GraphTensor(try Tensor(shape: x.shape, values: values))
  }

  /// The value of a `Constant`.
  func constantValue(_ node: ONNXNode) throws(CarouselError) -> GraphTensor {
    if let proto = try node.tensor("value") {
      let (tensor, type) = try value(proto)
      return GraphTensor(tensor, type: type)
    }
    if let value = try node.float("value_float") { return GraphTensor(scalar: value) }
    if let value = try node.int("value_int") {
      return GraphTensor(scalar: Double(value), type: .int64)
    }
    if let values = try node.floats("value_floats") {
      return GraphTensor(try Tensor(shape: [values.count], values: values))
    }
    if let values = try node.ints("value_ints") { return GraphTensor(wholeNumbers: values) }
    throw node.failure("holds a text or a sparse tensor, which is not supported")
  }
}

extension Tensor {
  /// The axes in another order.
  func transposed(_ order: [Int]) -> Tensor {
    let extents = order.map { shape[$0] }
    var strides = [Int](repeating: 1, count: shape.rank)
    for axis in (0..<max(shape.rank - 1, 0)).reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    let places = zip(extents, order.map { strides[$0] }).reduce([0]) { places, dimension in
      places.flatMap { place in (0..<dimension.0).map { place + $0 * dimension.1 } }
    }
    return Tensor(Shape(extents), places.map { values[$0] })
  }

  /// Tensors behind each other along an axis; nil where their other extents differ.
  static func concatenated(_ parts: [Tensor], axis: Int) -> Tensor? {
    guard let first = parts.first, 0..<first.shape.rank ~= axis else { return nil }
    func rest(_ tensor: Tensor) -> [Int] {
      tensor.shape.dimensions.enumerated().filter { $0.offset != axis }.map(\.element)
    }
    guard parts.allSatisfy({ $0.shape.rank == first.shape.rank && rest($0) == rest(first) }) else {
      return nil
    }
    var extents = first.shape.dimensions
    extents[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    let outer = first.shape.dimensions[..<axis].reduce(1, *)
    let inner = first.shape.dimensions[(axis + 1)...].reduce(1, *)
    var values: [Double] = []
    values.reserveCapacity(outer * extents[axis] * inner)
    for index in 0..<outer {
      for part in parts {
        let width = part.shape[axis] * inner
        values += part.values[(index * width)..<((index + 1) * width)]
      }
    }
    return Tensor(Shape(extents), values)
  }

  /// The part along an axis.
  func part(axis: Int, _ range: Range<Int>) -> Tensor {
    var extents = shape.dimensions
    let inner = extents[(axis + 1)...].reduce(1, *)
    let outer = extents[..<axis].reduce(1, *)
    let width = extents[axis] * inner
    extents[axis] = range.count
    var values: [Double] = []
    values.reserveCapacity(outer * range.count * inner)
    for index in 0..<outer {
      let begin = index * width + range.lowerBound * inner
      values += self.values[begin..<(begin + range.count * inner)]
    }
    return Tensor(Shape(extents), values)
  }

  /// The part at `index` of the first axis, without that axis.
  func row(_ index: Int) -> Tensor {
    let extents = Array(shape.dimensions.dropFirst())
    let width = extents.reduce(1, *)
    return Tensor(Shape(extents), Array(values[(index * width)..<((index + 1) * width)]))
  }

  /// Blocks of `count` equal parts along the first axis, taken in another order.
  func blocks(of count: Int, _ order: [Int]) -> Tensor {
    let width = values.count / count
    let values = order.flatMap { self.values[($0 * width)..<(($0 + 1) * width)] }
    return Tensor(
      Shape([shape[0] / count * order.count] + shape.dimensions.dropFirst()), Array(values))
  }
}
