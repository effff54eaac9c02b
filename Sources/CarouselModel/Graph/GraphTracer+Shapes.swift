// Operators that choose, order and name elements.
extension GraphTracer {
  func traceView(_ node: GraphNode, _ inputs: [Traced?]) throws(CarouselError) -> [Traced] {
    func maybe(_ index: Int) -> Traced? { index < inputs.count ? inputs[index] : nil }
    func input(_ index: Int) throws(CarouselError) -> Traced {
      guard let traced = maybe(index) else { throw failure("its input \(index) is missing") }
      return traced
    }
    func numbers(_ index: Int) throws(CarouselError) -> [Int]? {
      guard let traced = maybe(index) else { return nil }
      return try list(traced)
    }
    switch node.operation {
    case .constantOfShape(let value):
      let shape = try shaped(list(input(0)))
      let values = [Double](repeating: value.values.first ?? 0, count: shape.count)
      return [constant(GraphTensor(Tensor(shape, values), type: value.type))]
    case .range: return [try range(input(0), input(1), input(2))]
    case .concatenate(let axis):
      let parts = inputs.compactMap(\.self)
      guard let first = parts.first else { throw failure("it has no input") }
      return [try concatenated(parts, axis: self.axis(axis, of: first))]
    case .oneHot(let axis): return [try oneHot(input(0), input(1), input(2), axis: axis)]
    default: break
    }
    let x = try input(0)
    let rank = x.shape.rank
    switch node.operation {
    case .transpose(let order):
      return [try transposed(x, order ?? Array((0..<rank).reversed()))]
    case .reshape(let allowsZero):
      return [try reshaped(x, numbers(1) ?? [], allowsZero: allowsZero)]
    case .flatten(let axis):
      let place = axis == rank ? rank : try self.axis(axis, of: x)
      let outer = x.shape.dimensions[..<place].reduce(1, *)
      return [try alias(x, [outer, x.shape.dimensions[place...].reduce(1, *)])]
    case .squeeze(let axes):
      let ones = x.shape.dimensions.indices.filter { x.shape[$0] == 1 }
      let second = try numbers(1)
      let chosen = try (axes ?? second).map { axes throws(CarouselError) in
        try self.axes(axes, rank: rank)
      }
      guard chosen?.allSatisfy(ones.contains) ?? true else {
        throw failure(
          "axes \(chosen ?? []) of a tensor of shape \(x.shape) are not all of extent 1")
      }
      return [try alias(x, removing(chosen ?? ones, from: x.shape))]
    case .unsqueeze(let axes):
      let second = try numbers(1)
      let given = axes ?? second ?? []
      let chosen = try self.axes(given, rank: rank + given.count)
      var extents = x.shape.dimensions
      for axis in chosen.sorted() { extents.insert(1, at: axis) }
      return [try alias(x, Shape(extents))]
    case .slice:
      return [
        try sliced(
          x, starts: numbers(1) ?? [], ends: numbers(2) ?? [], axes: numbers(3), steps: numbers(4))
      ]
    case .split(let axis):
      return try split(
        x, axis: self.axis(axis, of: x), sizes: numbers(1), count: node.outputs.count)
    case .expand:
      let shape = try shaped(numbers(1) ?? [])
      return [try expanded(x, to: broadcast([x.shape, shape]))]
    case .tile: return [try tiled(x, numbers(1) ?? [])]
    case .pad(let mode): return [try pad(x, mode, numbers(1) ?? [], maybe(2), axes: numbers(3))]
    case .gather(let axis): return [try gathered(x, input(1), axis: self.axis(axis, of: x))]
    case .gatherElements(let axis):
      return [try gatheredElements(x, input(1), axis: self.axis(axis, of: x))]
    case .shape(let start, let end):
      func place(_ axis: Int) -> Int { min(max(axis < 0 ? axis + rank : axis, 0), rank) }
      let extents = x.shape.dimensions[place(start)..<max(place(start), place(end ?? rank))]
      return [constant(GraphTensor(wholeNumbers: Array(extents)))]
    case .size: return [constant(Double(x.shape.count), type: .int64)]
    case .triangle(let isUpper):
      return [try triangle(x, isUpper: isUpper, diagonal: numbers(1)?.first ?? 0)]
    default: throw failure("this operator is not supported")
    }
  }

  private func shaped(_ extents: [Int]) throws(CarouselError) -> Shape {
    guard extents.allSatisfy({ $0 >= 0 }), let count = Shape.count(of: extents), count < 1 << 40
    else {
      throw failure("\(extents) is not a shape")
    }
    return Shape(extents)
  }

  private func reshaped(
    _ x: Traced, _ wanted: [Int], allowsZero: Bool
  ) throws(CarouselError) -> Traced {
    var extents = wanted
    for (axis, extent) in wanted.enumerated() where extent == 0 && !allowsZero {
      guard axis < x.shape.rank else {
        throw failure("\(wanted) copies an axis that \(x.shape) lacks")
      }
      extents[axis] = x.shape[axis]
    }
    if let open = extents.firstIndex(of: -1) {
      extents[open] = 1
      let others = try shaped(extents).count
      extents[open] = others == 0 ? 0 : x.shape.count / others
    }
    let shape = try shaped(extents)
    guard shape.count == x.shape.count else {
      throw failure("a tensor of shape \(x.shape) cannot take the shape \(wanted)")
    }
    return try alias(x, shape)
  }

  /// NumPy's slices: places beyond an end are cut.
  private func sliced(
    _ x: Traced, starts: [Int], ends: [Int], axes: [Int]?, steps: [Int]?
  ) throws(CarouselError) -> Traced {
    let chosen = try self.axes(axes ?? Array(starts.indices), rank: x.shape.rank)
    let steps = steps ?? [Int](repeating: 1, count: starts.count)
    guard starts.count == chosen.count, ends.count == chosen.count, steps.count == chosen.count,
      !steps.contains(0)
    else { throw failure("starts, ends, axes and steps of a slice do not fit together") }
    var y = x
    for (index, axis) in chosen.enumerated() {
      let (extent, step) = (x.shape[axis], steps[index])
      func place(_ given: Int, _ least: Int, _ most: Int) -> Int {
        min(max(given < 0 ? given + extent : given, least), most)
      }
      let start = step > 0 ? place(starts[index], 0, extent) : place(starts[index], -1, extent - 1)
      // −1 in a slice that runs backward is the last element, not what is before the first.
      let end = step > 0 ? place(ends[index], 0, extent) : place(ends[index], -1, extent - 1)
      let length = step > 0 ? end - start : start - end
      let count = length <= 0 ? 0 : (length + step.magnitude.asInt - 1) / step.magnitude.asInt
      y = try sliced(y, axis: axis, start: count == 0 ? 0 : start, count: count, step: step)
    }
    return y
  }

  private func split(
    _ x: Traced, axis: Int, sizes: [Int]?, count: Int
  ) throws(CarouselError) -> [Traced] {
    let extent = x.shape[axis]
    let each = (extent + count - 1) / max(count, 1)
    let sizes = sizes ?? (0..<count).map { max(0, min(each, extent - $0 * each)) }
    guard sizes.reduce(0, +) == extent, sizes.allSatisfy({ $0 >= 0 }) else {
      throw failure("parts of \(sizes) are not the \(extent) elements of axis \(axis)")
    }
    var parts: [Traced] = []
    var start = 0
    for size in sizes {
      parts.append(try sliced(x, axis: axis, start: start, count: size))
      start += size
    }
    return parts
  }

  private func pad(
    _ x: Traced, _ mode: PadMode, _ pads: [Int], _ value: Traced?, axes: [Int]?
  ) throws(CarouselError) -> Traced {
    let rank = x.shape.rank
    let chosen = try self.axes(axes ?? Array(0..<rank), rank: rank)
    guard pads.count == 2 * chosen.count else {
      throw failure("\(pads.count) pads do not fit \(chosen.count) axes")
    }
    var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
    for (index, axis) in chosen.enumerated() {
      (before[axis], after[axis]) = (pads[index], pads[chosen.count + index])
    }
    return try padded(x, before: before, after: after, mode: mode, value: value)
  }

  private func gatheredElements(
    _ x: Traced, _ indices: Traced, axis: Int
  ) throws(CarouselError) -> Traced {
    guard indices.shape.rank == x.shape.rank else {
      throw failure("indices of shape \(indices.shape) do not fit a tensor of shape \(x.shape)")
    }
    let strides = StridedView(x.shape).strides
    let (extent, stride) = (x.shape[axis], strides[axis])
    var view = StridedView(extents: indices.shape.dimensions, strides: strides)
    view.strides[axis] = 0
    let others = view
    let places = try hostResult(.int64, indices.shape, from: [indices]) { values in
      zip(values[0], others.places).map { index, place in
        (index < 0 ? index + Double(extent) : index) * Double(stride) + Double(place)
      }
    }
    return try gatheredRows(
      x, places, into: indices.shape, outer: 1, extent: x.shape.count, inner: 1)
  }

  private func range(
    _ start: Traced, _ limit: Traced, _ delta: Traced
  ) throws(CarouselError) -> Traced {
    guard let first = start.constant?.values.first, let end = limit.constant?.values.first,
      let step = delta.constant?.values.first, step != 0
    else { throw failure("a range has to be known when the graph is bound") }
    let count = max(0, ((end - first) / step).rounded(.up))
    guard count < 0x1p40 else { throw failure("a range of \(count) elements is too long") }
    let values = (0..<Int(count)).map { first + Double($0) * step }
    return constant(GraphTensor(Tensor([values.count], values), type: start.type))
  }

  private func oneHot(
    _ indices: Traced, _ depth: Traced, _ values: Traced, axis: Int
  ) throws(CarouselError) -> Traced {
    guard let count = try list(depth).first, count > 0, let pair = values.constant?.values,
      pair.count == 2
    else { throw failure("the depth and the two values have to be known when the graph is bound") }
    let place = try self.axis(axis, rank: indices.shape.rank + 1)
    var extents = indices.shape.dimensions
    let inner = extents[place...].reduce(1, *)
    extents.insert(count, at: place)
    let shape = Shape(extents)
    return try hostResult(values.type, shape, from: [indices]) { given in
      (0..<shape.count).map { index in
        let (outer, rest) = index.quotientAndRemainder(dividingBy: count * inner)
        let value = given[0][outer * inner + rest % inner]
        return (value < 0 ? value + Double(count) : value) == Double(rest / inner)
          ? pair[1] : pair[0]
      }
    }
  }

  private func triangle(
    _ x: Traced, isUpper: Bool, diagonal: Int
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank >= 2 else { throw failure("a triangle needs a matrix, not \(x.shape)") }
    let (rows, columns) = (x.shape[x.shape.rank - 2], x.shape[x.shape.rank - 1])
    let values = (0..<rows * columns).map { index in
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      return (isUpper ? column - row >= diagonal : column - row <= diagonal) ? 1.0 : 0.0
    }
    let mask = constant(GraphTensor(Tensor([rows, columns], values), type: .bool))
    return try select(mask, x, constant(0, type: x.type))
  }
}

extension UInt {
  fileprivate var asInt: Int { Int(self) }
}
