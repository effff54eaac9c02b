// Copies of parts of tensors in other orders.
extension GraphTracer {
  /// The elements of a view of x, none of them twice, as a tensor of the view's extents.
  func viewed(_ x: Traced, _ view: StridedView) throws(CarouselError) -> Traced {
    let shape = Shape(view.extents)
    if x.isOnHost {
      return try hostResult(x.type, shape, from: [x]) { values in view.places.map { values[0][$0] }
      }
    }
    let y = result(x.type, shape, from: [x])
    emit(.copy(storage(x), view, to: storage(y), StridedView(shape), accumulates: false))
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, x.shape, from: [])
      if view.count < x.shape.count { tracer.emitZeros(gradient, around: g) }
      tracer.emit(
        .copy(
          tracer.storage(g), StridedView(shape), to: tracer.storage(gradient), view,
          accumulates: false))
      try tracer.addGradient(gradient, to: x)
    }
    return y
  }

  func transposed(_ x: Traced, _ order: [Int]) throws(CarouselError) -> Traced {
    guard order.sorted() == Array(0..<x.shape.rank) else {
      throw failure("\(order) is not an order of the axes of a tensor of shape \(x.shape)")
    }
    // Axes of one element may move freely.
    let moving = order.filter { x.shape[$0] != 1 }
    let shape = Shape(order.map { x.shape[$0] })
    if moving == moving.sorted() { return try alias(x, shape) }
    let strides = StridedView(x.shape).strides
    return try viewed(
      x, StridedView(extents: shape.dimensions, strides: order.map { strides[$0] }))
  }

  /// x with its axis `from` at `to`.
  func moveAxis(_ x: Traced, from: Int, to: Int) throws(CarouselError) -> Traced {
    var order = Array(0..<x.shape.rank)
    order.insert(order.remove(at: from), at: to)
    return try transposed(x, order)
  }

  /// The part of x from `start` on along an axis, `count` elements, `step` apart.
  func sliced(
    _ x: Traced, axis: Int, start: Int, count: Int, step: Int = 1
  ) throws(CarouselError) -> Traced {
    if start == 0, step == 1, count == x.shape[axis] { return x }
    var view = StridedView(x.shape)
    view.offset = start * view.strides[axis]
    view.strides[axis] *= step
    view.extents[axis] = count
    return try viewed(x, view)
  }

  func concatenated(_ parts: [Traced], axis: Int) throws(CarouselError) -> Traced {
    let parts = parts.contains { $0.shape.count > 0 } ? parts.filter { $0.shape.count > 0 } : parts
    guard let first = parts.first else { throw failure("there is nothing to put together") }
    if parts.count == 1 { return first }
    var extents = first.shape.dimensions
    extents[axis] = 0
    for part in parts {
      var others = part.shape.dimensions
      guard others.count == extents.count else {
        throw failure(
          "tensors of \(first.shape.rank) and of \(part.shape.rank) axes cannot follow each other")
      }
      extents[axis] += others[axis]
      others[axis] = first.shape[axis]
      guard others == first.shape.dimensions else {
        throw failure(
          "tensors of the shapes \(first.shape) and \(part.shape) cannot follow each other along axis "
            + "\(axis)")
      }
    }
    let shape = Shape(extents)
    var views: [StridedView] = []
    var begin = 0
    for part in parts {
      var view = StridedView(shape)
      view.offset = begin * view.strides[axis]
      view.extents[axis] = part.shape[axis]
      begin += part.shape[axis]
      views.append(view)
    }
    if parts.allSatisfy(\.isOnHost) {
      let places = views
      return try hostResult(first.type, shape, from: parts) { values in
        var result = [Double](repeating: 0, count: shape.count)
        for (part, view) in zip(values, places) {
          for (value, place) in zip(part, view.places) { result[place] = value }
        }
        return result
      }
    }
    let y = result(first.type, shape, from: parts)
    for (part, view) in zip(parts, views) {
      emit(
        .copy(storage(part), StridedView(part.shape), to: storage(y), view, accumulates: false))
    }
    whenBackward(y) { tracer, g in
      for (part, view) in zip(parts, views) where part.needsGradient {
        try tracer.addGradient(tracer.viewed(g, view), to: part)
      }
    }
    return y
  }

  /// x, broadcast to a shape.
  func expanded(_ x: Traced, to shape: Shape) throws(CarouselError) -> Traced {
    guard x.shape != shape else { return x }
    guard try broadcast([x.shape, shape]) == shape else {
      throw failure("a tensor of shape \(x.shape) cannot be broadcast to \(shape)")
    }
    if x.shape.count == shape.count { return try alias(x, shape) }
    let view = view(x, as: shape)
    if x.isOnHost {
      return try hostResult(x.type, shape, from: [x]) { values in view.places.map { values[0][$0] }
      }
    }
    let y = result(x.type, shape, from: [x])
    emit(.copy(storage(x), view, to: storage(y), StridedView(shape), accumulates: false))
    whenBackward(y) { tracer, g in try tracer.addGradient(g, to: x) }
    return y
  }

  /// Each axis again and again.
  func tiled(_ x: Traced, _ repeats: [Int]) throws(CarouselError) -> Traced {
    guard repeats.count == x.shape.rank, repeats.allSatisfy({ $0 >= 0 }) else {
      throw failure("\(repeats) are not repeats for a tensor of shape \(x.shape)")
    }
    let pairs = zip(repeats, x.shape.dimensions)
    let once = try alias(x, Shape(pairs.flatMap { [1, $1] }))
    let many = try expanded(once, to: Shape(pairs.flatMap { [$0, $1] }))
    return try alias(many, Shape(pairs.map { $0 * $1 }))
  }

  /// `before` and `after` more elements along each axis, negative ones less.
  func padded(
    _ x: Traced, before: [Int], after: [Int], mode: PadMode, value: Traced?
  ) throws(CarouselError) -> Traced {
    if mode != .constant {
      var y = x
      for axis in 0..<x.shape.rank where before[axis] != 0 || after[axis] != 0 {
        let places = try mode.places(
          extent: x.shape[axis], before: before[axis], after: after[axis], tracer: self)
        y = try gathered(y, constant(GraphTensor(wholeNumbers: places)), axis: axis)
      }
      return y
    }
    var y = x
    for axis in 0..<x.shape.rank where before[axis] < 0 || after[axis] < 0 {
      let start = max(0, -before[axis])
      let count = y.shape[axis] - start - max(0, -after[axis])
      guard count >= 0 else {
        throw failure("pads cut more off axis \(axis) of \(x.shape) than it has")
      }
      y = try sliced(y, axis: axis, start: start, count: count)
    }
    let inner = y
    let extents = (0..<x.shape.rank).map {
      inner.shape[$0] + max(0, before[$0]) + max(0, after[$0])
    }
    if extents == inner.shape.dimensions { return inner }
    var place = StridedView(Shape(extents))
    for axis in extents.indices { place.offset += max(0, before[axis]) * place.strides[axis] }
    place.extents = inner.shape.dimensions
    let view = place
    guard let fill = value.map({ $0.constant?.values.first }) ?? 0 else {
      throw failure("the value that it pads with has to be known when the graph is bound")
    }
    if inner.isOnHost {
      let count = extents.reduce(1, *)
      return try hostResult(inner.type, Shape(extents), from: [inner]) { values in
        var result = [Double](repeating: fill, count: count)
        for (value, place) in zip(values[0], view.places) { result[place] = value }
        return result
      }
    }
    let padded = result(inner.type, Shape(extents), from: [inner])
    emit(.fill(storage(padded), count: padded.shape.count, with: fill))
    emit(
      .copy(storage(inner), StridedView(inner.shape), to: storage(padded), view, accumulates: false)
    )
    whenBackward(padded) { tracer, g in
      try tracer.addGradient(tracer.viewed(g, view), to: inner)
    }
    return padded
  }

  /// The slices of x at `indices` along an axis, negative ones counted from its end.
  func gathered(_ x: Traced, _ indices: Traced, axis: Int) throws(CarouselError) -> Traced {
    let extent = x.shape[axis]
    let places = try hostResult(.int64, indices.shape, from: [indices]) { values in
      values[0].map { $0 < 0 ? $0 + Double(extent) : $0 }
    }
    if let known = places.constant?.values.first(where: { !($0 >= 0 && $0 < Double(extent)) }) {
      throw failure("the index \(known) is not in an axis of \(extent)")
    }
    let dimensions = x.shape.dimensions
    let outer = dimensions[..<axis].reduce(1, *)
    let inner = dimensions[(axis + 1)...].reduce(1, *)
    let shape = Shape(dimensions[..<axis] + indices.shape.dimensions + dimensions[(axis + 1)...])
    // One slice, or slices that follow each other, as a view.
    if let known = places.constant?.values, let first = known.first,
      known.enumerated().allSatisfy({ $1 == first + Double($0) })
    {
      return try alias(
        sliced(x, axis: axis, start: Int(first), count: known.count), shape)
    }
    return try gatheredRows(x, places, into: shape, outer: outer, extent: extent, inner: inner)
  }

  /// `y[o, m, i] = x[o, places[m], i]`, 0 where the place is negative.
  func gatheredRows(
    _ x: Traced, _ places: Traced, into shape: Shape, outer: Int, extent: Int, inner: Int
  ) throws(CarouselError) -> Traced {
    let count = places.shape.count
    if x.isOnHost {
      return try hostResult(x.type, shape, from: [x, places]) { values in
        HostLoops.gather(
          values[0], places: values[1], outer: outer, extent: extent, inner: inner)
      }
    }
    let buffer = try indexBuffer(places)
    let y = result(x.type, shape, from: [x])
    emit(
      .gather(
        storage(x), indices: buffer, into: storage(y), outer: outer, extent: extent, inner: inner,
        count: count))
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, x.shape, from: [])
      tracer.emit(
        .scatter(
          tracer.storage(g), indices: buffer, into: tracer.storage(gradient), outer: outer,
          extent: extent, inner: inner, count: count))
      try tracer.addGradient(gradient, to: x)
    }
    return y
  }
}

extension PadMode {
  /// The elements of an axis that a padded one is made of.
  fileprivate func places(
    extent: Int, before: Int, after: Int, tracer: GraphTracer
  ) throws(CarouselError) -> [Int] {
    guard extent > 0, extent + before + after >= 0 else {
      throw tracer.failure(
        "an axis of \(extent) elements cannot be padded by \(before) and \(after)")
    }
    var result: [Int] = []
    for place in -before..<extent + after {
      switch self {
      case .constant, .edge: result.append(min(max(place, 0), extent - 1))
      case .wrap: result.append(((place % extent) + extent) % extent)
      case .reflect:
        let period = max(2 * (extent - 1), 1)
        let wrapped = ((place % period) + period) % period
        result.append(extent == 1 ? 0 : min(wrapped, period - wrapped))
      }
    }
    return result
  }
}
