// Sums, extremes and softmax along axes.
extension GraphTracer {
  /// A reduction over axes, which keep an extent of 1.
  func reduced(
    _ reduction: Reduction, _ x: Traced, axes: [Int], scale: Double = 1
  ) throws(CarouselError) -> Traced {
    let all = StridedView(x.shape)
    func part(_ isReduced: Bool) -> StridedView {
      let chosen = all.extents.indices.filter { axes.contains($0) == isReduced }
      return StridedView(
        extents: chosen.map { all.extents[$0] }, strides: chosen.map { all.strides[$0] })
    }
    let (kept, over) = (part(false), part(true))
    let shape = Shape(all.extents.indices.map { axes.contains($0) ? 1 : all.extents[$0] })
    // Of one element each is that element.
    if over.count == 1, scale == 1, [.sum, .maximum, .minimum, .product].contains(reduction) {
      return try alias(x, shape)
    }
    if x.isOnHost {
      return try hostResult(x.type, shape, from: [x]) { values in
        HostLoops.reduce(reduction, kept: kept, reduced: over, scale: scale) { values[0][$0] }
      }
    }
    let y = result(x.type, shape, from: [x])
    emit(.reduce(reduction, storage(x), kept: kept, reduced: over, into: storage(y), scale: scale))
    whenBackward(y) { tracer, g in
      try tracer.addGradient(
        tracer.reductionGradient(reduction, g, x, y, axes: axes, scale: scale), to: x)
    }
    return y
  }

  private func reductionGradient(
    _ reduction: Reduction, _ g: Traced, _ x: Traced, _ y: Traced, axes: [Int], scale: Double
  ) throws(CarouselError) -> Traced {
    func scaled(_ factor: Double) throws(CarouselError) -> Traced {
      factor == 1
        ? g : try elementwise(.unary(.affine(scale: factor, shift: 0)), [g], type: .float32)
    }
    switch reduction {
    case .sum: return try expanded(scaled(scale), to: x.shape)
    case .squareSum:
      return try elementwise(.binary(.multiply), [x, scaled(2 * scale)], type: .float32)
    case .absoluteSum:
      return try elementwise(.unarySlope(.absolute), [scaled(scale), x, x], type: .float32)
    case .maximum, .minimum:
      let hits = try elementwise(.binary(.equal), [x, y], type: .float32)
      let count = try reduced(.sum, hits, axes: axes)
      let share = try elementwise(.binary(.divide), [g, count], type: .float32)
      return try elementwise(.binary(.multiply), [hits, share], type: .float32)
    case .product:
      let product = try elementwise(.binary(.multiply), [g, y], type: .float32)
      return try elementwise(.binary(.divide), [product, x], type: .float32)
    }
  }

  /// The sum over what is broadcast in a tensor beside one of the given shape.
  func sum(_ x: Traced, to shape: Shape) throws(CarouselError) -> Traced {
    guard x.shape != shape else { return x }
    let extra = x.shape.rank - shape.rank
    let axes = x.shape.dimensions.indices.filter {
      $0 < extra || shape[$0 - extra] == 1 && x.shape[$0] != 1
    }
    let summed = axes.contains { x.shape[$0] != 1 } ? try reduced(.sum, x, axes: axes) : x
    return try alias(summed, shape)
  }

  func reduce(
    _ function: ReduceFunction, _ x: Traced, axes: [Int], keepsDimensions: Bool
  ) throws(CarouselError) -> Traced {
    let count = axes.reduce(1) { $0 * x.shape[$1] }
    let y: Traced
    switch function {
    case .sum: y = try reduced(.sum, x, axes: axes)
    case .mean: y = try reduced(.sum, x, axes: axes, scale: 1 / Double(count))
    case .maximum: y = try reduced(.maximum, x, axes: axes)
    case .minimum: y = try reduced(.minimum, x, axes: axes)
    case .product: y = try reduced(.product, x, axes: axes)
    case .absoluteSum: y = try reduced(.absoluteSum, x, axes: axes)
    case .squareSum: y = try reduced(.squareSum, x, axes: axes)
    case .euclideanNorm: y = try unary(.squareRoot, reduced(.squareSum, x, axes: axes))
    case .logSum: y = try unary(.logarithm, reduced(.sum, x, axes: axes))
    case .logSumExponential:
      // The largest element is a constant to the gradient, which does not depend on it.
      var largest = try reduced(.maximum, x, axes: axes)
      largest.needsGradient = false
      let sum = try reduced(
        .sum, unary(.exponential, binary(.subtract, x, largest)), axes: axes)
      y = try binary(.add, unary(.logarithm, sum), largest)
    }
    return keepsDimensions ? y : try alias(y, removing(axes, from: y.shape))
  }

  func removing(_ axes: [Int], from shape: Shape) -> Shape {
    Shape(shape.dimensions.indices.filter { !axes.contains($0) }.map { shape[$0] })
  }

  /// The first, or the last, index of the largest, or the smallest, element along an axis.
  func argument(
    _ x: Traced, isLargest: Bool, axis: Int, keepsDimensions: Bool, takesLast: Bool
  ) throws(CarouselError) -> Traced {
    var x = x
    x.needsGradient = false
    let extreme = try reduced(isLargest ? .maximum : .minimum, x, axes: [axis])
    let hits = try elementwise(.binary(.equal), [x, extreme], type: .bool)
    var extents = [Int](repeating: 1, count: x.shape.rank)
    extents[axis] = x.shape[axis]
    let indices = constant(
      GraphTensor(Tensor(Shape(extents), (0..<x.shape[axis]).map(Double.init)), type: .int64))
    let others = constant(takesLast ? -1 : Double(x.shape[axis]), type: .int64)
    let marked = try elementwise(.select, [hits, indices, others], type: .int64)
    let y = try reduced(takesLast ? .maximum : .minimum, marked, axes: [axis])
    return keepsDimensions ? y : try alias(y, removing([axis], from: y.shape))
  }

  func softmax(_ x: Traced, axis: Int, isLogarithm: Bool) throws(CarouselError) -> Traced {
    let last = x.shape.rank - 1
    guard axis == last else {
      let moved = try moveAxis(x, from: axis, to: last)
      return try moveAxis(
        softmax(moved, axis: last, isLogarithm: isLogarithm), from: last, to: axis)
    }
    let width = x.shape[axis]
    let rows = width == 0 ? 0 : x.shape.count / width
    let y = result(x.type, x.shape, from: [x])
    emit(
      .softmax(storage(x), into: storage(y), rows: rows, width: width, isLogarithm: isLogarithm))
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, x.shape, from: [])
      tracer.emit(
        .softmaxBackward(
          y: tracer.storage(y), gradY: tracer.storage(g), into: tracer.storage(gradient),
          rows: rows, width: width, isLogarithm: isLogarithm))
      try tracer.addGradient(gradient, to: x)
    }
    return y
  }

  /// Sums of all elements up to each along an axis: a product with a triangle of ones.
  func cumulativeSum(
    _ x: Traced, axis: Int, isExclusive: Bool, isReverse: Bool
  ) throws(CarouselError) -> Traced {
    let (last, n) = (x.shape.rank - 1, x.shape[axis])
    let moved = try moveAxis(x, from: axis, to: last)
    let values = (0..<n * n).map { index in
      let (from, to) = isReverse ? (index % n, index / n) : (index / n, index % n)
      return from < to || from == to && !isExclusive ? 1.0 : 0.0
    }
    let triangle = constant(GraphTensor(Tensor([n, n], values)))
    let sums = try matrixProduct(moved, triangle)
    return try moveAxis(sums, from: last, to: axis)
  }
}
