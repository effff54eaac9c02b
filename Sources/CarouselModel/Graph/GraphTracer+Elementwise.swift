// Functions of elements, and their gradients.
extension GraphTracer {
  /// The shape that NumPy's rules give tensors together.
  func broadcast(_ shapes: [Shape]) throws(CarouselError) -> Shape {
    let rank = shapes.map(\.rank).max() ?? 0
    var extents = [Int](repeating: 1, count: rank)
    for shape in shapes {
      for (index, extent) in shape.dimensions.enumerated() {
        let axis = rank - shape.rank + index
        if extents[axis] == 1 {
          extents[axis] = extent
        } else if extent != 1, extent != extents[axis] {
          let list = shapes.map(\.description).joined(separator: " and ")
          throw failure("tensors of the shapes \(list) do not fit together")
        }
      }
    }
    guard Shape.count(of: extents) != nil else {
      throw failure("a tensor of the shape \(extents) is more than any device holds")
    }
    return Shape(extents)
  }

  /// A view of x in which it has the shape, strides of 0 where it is broadcast.
  func view(_ x: Traced, as shape: Shape) -> StridedView {
    let own = StridedView(x.shape)
    var strides = [Int](repeating: 0, count: shape.rank)
    for axis in 0..<x.shape.rank where x.shape[axis] != 1 {
      strides[shape.rank - x.shape.rank + axis] = own.strides[axis]
    }
    return StridedView(extents: shape.dimensions, strides: strides)
  }

  /// One function of up to four tensors; without a gradient.
  func elementwise(
    _ function: ElementwiseFunction, _ inputs: [Traced], type: GraphType
  ) throws(CarouselError) -> Traced {
    let shape = try broadcast(inputs.map(\.shape))
    let views = inputs.map { view($0, as: shape) }
    if inputs.allSatisfy(\.isOnHost) {
      return try hostResult(type, shape, from: inputs) { values in
        HostLoops.elementwise(function, zip(values, views).map { ($0, $1) }, count: shape.count)
      }
    }
    let y = result(type, shape, from: inputs)
    emit(
      .elementwise(
        function, zip(inputs, views).map { (storage($0), $1) }, into: storage(y),
        extents: shape.dimensions))
    return y
  }

  func unary(_ function: UnaryFunction, _ x: Traced) throws(CarouselError) -> Traced {
    if function == .identity { return x }
    let isTruth = function == .not || function == .isNaN
    let y = try elementwise(.unary(function), [x], type: isTruth ? .bool : x.type)
    if !function.isFlat {
      whenBackward(y) { tracer, g in
        try tracer.addGradient(
          tracer.elementwise(.unarySlope(function), [g, x, y], type: .float32), to: x)
      }
    }
    return y
  }

  func binary(
    _ function: BinaryFunction, _ a: Traced, _ b: Traced
  ) throws(CarouselError) -> Traced {
    // x², which exporters write as a power, is the same to the last bit as a product, and quicker.
    if function == .power, a.type.isReal, b.shape.count == 1, b.shape.rank <= a.shape.rank,
      b.constant?.values == [2]
    {
      return try binary(.multiply, a, a)
    }
    if try isNeutral(b, of: function, isSecond: true, for: a) { return a }
    if try isNeutral(a, of: function, isSecond: false, for: b) { return b }
    let type = function.isPredicate ? .bool : a.type.isReal ? a.type : b.type
    if function == .divide, type.isWhole {
      return try elementwise(.wholeDivide, [a, b], type: type)
    }
    let y = try elementwise(.binary(function), [a, b], type: type)
    whenBackward(y) { tracer, g in
      for (isSecond, x) in [(false, a), (true, b)] where x.needsGradient {
        try tracer.addGradient(
          tracer.binaryGradient(function, g, a, b, y, isSecond: isSecond), to: x)
      }
    }
    return y
  }

  /// Whether a function of x and a known operand is x: x + 0, x − 0, x·1, x/1.
  ///
  /// −0 + 0 alone would be another zero; ONNX Runtime leaves such nodes out too.
  private func isNeutral(
    _ operand: Traced, of function: BinaryFunction, isSecond: Bool, for x: Traced
  ) throws(CarouselError) -> Bool {
    let neutral: Double
    switch function {
    case .add: neutral = 0
    case .subtract where isSecond: neutral = 0
    case .multiply: neutral = 1
    case .divide where isSecond: neutral = 1
    default: return false
    }
    guard x.type.isReal, !x.isOnHost, !operand.needsGradient, let known = operand.constant?.values,
      !known.isEmpty, known.allSatisfy({ $0 == neutral })
    else { return false }
    return try broadcast([x.shape, operand.shape]) == x.shape
  }

  private func binaryGradient(
    _ function: BinaryFunction, _ g: Traced, _ a: Traced, _ b: Traced, _ y: Traced, isSecond: Bool
  ) throws(CarouselError) -> Traced {
    switch function {
    case .add: return g
    case .subtract: return isSecond ? try elementwise(.unary(.negate), [g], type: .float32) : g
    case .multiply:
      return try elementwise(.binary(.multiply), [g, isSecond ? a : b], type: .float32)
    case .divide where !isSecond:
      return try elementwise(.binary(.divide), [g, b], type: .float32)
    default:
      return try elementwise(
        .binarySlope(function, isSecond: isSecond), [g, a, b, y], type: .float32)
    }
  }

  func clip(_ x: Traced, _ low: Traced?, _ high: Traced?) throws(CarouselError) -> Traced {
    let low = low ?? constant(-.infinity, type: x.type)
    let high = high ?? constant(.infinity, type: x.type)
    let y = try elementwise(.clip, [x, low, high], type: x.type)
    whenBackward(y) { tracer, g in
      try tracer.addGradient(
        tracer.elementwise(.clipSlope, [g, x, low, high], type: .float32), to: x)
    }
    return y
  }

  func select(_ condition: Traced, _ a: Traced, _ b: Traced) throws(CarouselError) -> Traced {
    let shape = try broadcast([condition.shape, a.shape, b.shape])
    if a.shape == shape, let known = condition.constant?.values, !known.contains(0) { return a }
    let y = try elementwise(.select, [condition, a, b], type: a.type)
    whenBackward(y) { tracer, g in
      let zero = tracer.constant(0)
      if a.needsGradient {
        try tracer.addGradient(
          tracer.elementwise(.select, [condition, g, zero], type: .float32), to: a)
      }
      if b.needsGradient {
        try tracer.addGradient(
          tracer.elementwise(.select, [condition, zero, g], type: .float32), to: b)
      }
    }
    return y
  }

  func cast(_ x: Traced, to type: GraphType) throws(CarouselError) -> Traced {
    if type == .bool, x.type != .bool { return try elementwise(.isTrue, [x], type: .bool) }
    if x.type.isReal, !type.isReal { return try elementwise(.truncate, [x], type: type) }
    return try alias(x, x.shape, type: type)
  }

  /// The same elements under another shape or type.
  func alias(
    _ x: Traced, _ shape: Shape, type: GraphType? = nil
  ) throws(CarouselError) -> Traced {
    let type = type ?? x.type
    if let value = x.constant {
      return constant(GraphTensor(Tensor(shape, value.values), type: type))
    }
    let y = tensor(x.source, type, shape, needsGradient: x.needsGradient)
    whenBackward(y) { tracer, g in
      try tracer.addGradient(tracer.alias(g, x.shape), to: x)
    }
    return y
  }
}
