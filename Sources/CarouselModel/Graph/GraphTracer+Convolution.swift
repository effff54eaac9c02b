// Convolutions and pools: windows as columns, then a product or a reduction.
extension GraphTracer {
  /// A window over one or two axes of x `[N, C, …]`, as one over two.
  func window(
    _ convolution: Convolution, input: [Int], kernel: [Int], planes: Int, isTransposed: Bool = false
  ) throws(CarouselError) -> Window {
    let axes = input.count
    guard axes == 1 || axes == 2, kernel.count == axes else {
      throw failure(
        "a window of \(kernel) over axes of \(input) is not supported, only over one or two axes")
    }
    func list(_ given: [Int]?, _ absent: Int, _ name: String) throws(CarouselError) -> [Int] {
      let list = given.flatMap { $0.isEmpty ? nil : $0 } ?? [Int](repeating: absent, count: axes)
      guard list.count == axes, list.allSatisfy({ $0 >= min(absent, 1) }) || absent == 0 else {
        throw failure("the \(name) \(list) do not fit \(axes) axes")
      }
      return list
    }
    let strides = try list(convolution.strides, 1, "strides")
    let dilations = try list(convolution.dilations, 1, "dilations")
    let extra = try list(convolution.outputPadding, 0, "output paddings")
    guard kernel.allSatisfy({ $0 > 0 }) else {
      throw failure("a kernel of \(kernel) has no element")
    }
    var numbers = input + kernel + strides + dilations + extra
    if case .explicit(let first, let last) = convolution.padding {
      for pads in [first, last] where !pads.isEmpty && pads.count != axes {
        throw failure("the pads \(first) and \(last) do not fit \(axes) axes")
      }
      numbers += first + last
    }
    if let shape = convolution.outputShape {
      guard shape.count >= axes else {
        throw failure("the output's shape \(shape) does not fit \(axes) axes")
      }
      numbers += shape
    }
    // Sums of products of two of them are then far from the largest number.
    guard let largest = numbers.map(\.magnitude).max(), largest <= 1 << 30 else {
      throw failure("a window has a number beyond 2^30: \(numbers)")
    }
    var (before, output) = ([Int](repeating: 0, count: axes), [Int](repeating: 0, count: axes))
    for axis in 0..<axes {
      let (L, S) = (input[axis], strides[axis])
      let span = dilations[axis] * (kernel[axis] - 1) + 1
      if isTransposed {
        let all = (L - 1) * S + span + extra[axis]
        switch convolution.padding {
        case .explicit(let first, let last):
          before[axis] = first.isEmpty ? 0 : first[axis]
          output[axis] = all - before[axis] - (last.isEmpty ? 0 : last[axis])
        case .sameUpper, .sameLower: output[axis] = L * S
        }
        if let shape = convolution.outputShape {
          output[axis] = shape.suffix(axes)[shape.count - axes + axis]
        }
        if convolution.outputShape != nil || !convolution.padding.isExplicit {
          // What is wanted beyond all windows is added behind.
          let cut = max(0, all - output[axis])
          before[axis] = convolution.padding == .sameUpper ? cut / 2 : cut - cut / 2
        }
      } else {
        var behind = 0
        switch convolution.padding {
        case .explicit(let first, let last):
          before[axis] = first.isEmpty ? 0 : first[axis]
          behind = last.isEmpty ? 0 : last[axis]
        case .sameUpper, .sameLower:
          let needed = max(0, ((L + S - 1) / S - 1) * S + span - L)
          before[axis] = convolution.padding == .sameUpper ? needed / 2 : needed - needed / 2
          behind = needed - before[axis]
        }
        let room = L + before[axis] + behind - span
        output[axis] = room < 0 ? 0 : room / S + 1
        // One more window where it begins within the input or what is added before it.
        if convolution.roundsUp, room >= 0, room % S > 0, output[axis] * S < L + before[axis] {
          output[axis] += 1
        }
      }
      guard output[axis] > 0 else {
        throw failure("a kernel of \(kernel) is larger than its input of \(input) with its padding")
      }
    }
    func two(_ list: [Int], _ absent: Int) -> [Int] { axes == 2 ? list : [absent] + list }
    return Window(
      planes: planes, input: two(isTransposed ? output : input, 1), kernel: two(kernel, 1),
      strides: two(strides, 1), dilations: two(dilations, 1), before: two(before, 0),
      output: two(isTransposed ? input : output, 1))
  }

  /// The columns of x's windows, `[P, Kh·Kw, Ho·Wo]`; x itself where each window is one element.
  private func columns(
    _ x: Traced, _ window: Window, padding: Double = 0
  ) throws(CarouselError) -> Traced {
    let shape: Shape = [
      window.planes, window.kernel[0] * window.kernel[1], window.output[0] * window.output[1],
    ]
    if window.isIdentity { return try alias(x, shape) }
    let y = result(x.type, shape, from: [x])
    emit(.unfold(window, storage(x), into: storage(y), padding: padding))
    whenBackward(y) { tracer, g in
      try tracer.addGradient(tracer.folded(g, window, shape: x.shape), to: x)
    }
    return y
  }

  /// The sums of columns at the places that they come from.
  private func folded(
    _ columns: Traced, _ window: Window, shape: Shape
  ) throws(CarouselError) -> Traced {
    if window.isIdentity { return try alias(columns, shape) }
    let y = result(columns.type, shape, from: [columns])
    emit(.fold(window, storage(columns), into: storage(y)))
    whenBackward(y) { tracer, g in
      let gradient = try tracer.columns(g, window)
      try tracer.addGradient(tracer.alias(gradient, columns.shape), to: columns)
    }
    return y
  }

  func convolution(
    _ x: Traced, _ weight: Traced, _ bias: Traced?, _ convolution: Convolution
  ) throws(CarouselError) -> Traced {
    let groups = convolution.groups
    guard x.shape.rank >= 3, weight.shape.rank == x.shape.rank, groups >= 1,
      x.shape[1] == weight.shape[1] * groups, weight.shape[0].isMultiple(of: groups)
    else {
      throw failure(
        "a weight of shape \(weight.shape) in \(groups) groups does not fit an input of shape \(x.shape)"
      )
    }
    let (N, C, O) = (x.shape[0], x.shape[1], weight.shape[0])
    let window = try window(
      convolution, input: Array(x.shape.dimensions[2...]),
      kernel: Array(weight.shape.dimensions[2...]), planes: N * C)
    let (L, K) = (
      window.output[0] * window.output[1], C / groups * window.kernel[0] * window.kernel[1]
    )
    let outputs = Array(window.output.suffix(x.shape.rank - 2))
    let isKept = [x, weight, bias].contains { $0?.needsGradient ?? false }
    if groups == 1, N > 1, !isKept, Double(N * L) * Double(O * K) >= 0x1p17 {
      let y = try productOfRows(x, alias(weight, [O, K]), bias, window, channels: C)
      return try alias(y, Shape([N, O] + outputs))
    }
    let direct = DirectConvolution(
      window, batch: N, groups: groups, inputs: C / groups, outputs: O / groups, isAdjoint: false)
    let shape = Shape([N, O] + outputs)
    if direct.isPreferred { return try convolved(x, weight, bias, direct, shape: shape) }
    let columns = try columns(x, window)
    let products = WindowProducts(batch: N, groups: groups, rows: O / groups, depth: K, columns: L)
    let y = product(products.outputs, weight, columns, shape: shape)
    whenBackward(y) { tracer, g in
      if weight.needsGradient {
        let gradient = tracer.product(products.weights, g, columns, shape: weight.shape)
        try tracer.addGradient(gradient, to: weight)
      }
      if columns.needsGradient {
        let gradient = tracer.product(products.windows, weight, g, shape: columns.shape)
        try tracer.addGradient(gradient, to: columns)
      }
    }
    return try addChannels(bias, to: y)
  }

  /// A convolution or its adjoint.
  ///
  /// Windows are copied for the gradient of the weights alone.
  private func convolved(
    _ x: Traced, _ weight: Traced, _ bias: Traced?, _ direct: DirectConvolution, shape: Shape
  ) throws(CarouselError) -> Traced {
    let channels = direct.groups * direct.outputs
    if let bias, bias.shape.count != channels {
      throw failure("a tensor of shape \(bias.shape) does not fit \(channels) channels")
    }
    let y = result(x.type, shape, from: [x, weight] + [bias].compactMap(\.self))
    emit(
      .convolve(
        ProgramConvolution(
          operation: direct, x: storage(x), weight: storage(weight),
          bias: bias.map { storage($0) }), into: storage(y)))
    whenBackward(y) { tracer, g in
      if x.needsGradient {
        let gradient = tracer.result(x.type, x.shape, from: [g])
        tracer.emit(
          .convolve(
            ProgramConvolution(
              operation: direct.adjoint, x: tracer.storage(g), weight: tracer.storage(weight),
              bias: nil), into: tracer.storage(gradient)))
        try tracer.addGradient(gradient, to: x)
      }
      if weight.needsGradient {
        // The windows lie over x, or over y where it is the adjoint.
        let (planes, products) = (direct.isAdjoint ? g : x, WindowProducts(direct))
        let gradient = tracer.product(
          products.weights, direct.isAdjoint ? x : g, try tracer.columns(planes, direct.window),
          shape: weight.shape)
        try tracer.addGradient(gradient, to: weight)
      }
      if let bias, bias.needsGradient {
        let planes = Shape([direct.batch, channels, shape.count / (direct.batch * channels)])
        let sums = try tracer.reduced(.sum, tracer.alias(g, planes), axes: [0, 2])
        try tracer.addGradient(tracer.alias(sums, bias.shape), to: bias)
      }
    }
    return y
  }

  /// The convolution of several images as one product `[N·L, K] · [K, O]`, then in the order `[N, O, L]`.
  ///
  /// Its windows lie one after the other, so that all images fill the rows of one large product; it keeps
  /// nothing for a backward pass.
  private func productOfRows(
    _ x: Traced, _ weight: Traced, _ bias: Traced?, _ window: Window, channels: Int
  ) throws(CarouselError) -> Traced {
    let (N, L) = (window.planes / channels, window.output[0] * window.output[1])
    let (O, K) = (weight.shape[0], weight.shape[1])
    if let bias, bias.shape.count != O {
      throw failure("a tensor of shape \(bias.shape) does not fit \(O) channels")
    }
    let rows = result(x.type, [N * L, K], from: [x])
    emit(.unfoldRows(window, channels: channels, storage(x), into: storage(rows)))
    var flat: Traced?
    if let bias { flat = try alias(bias, [O]) }
    let y = try linear(rows, weight, flat)
    return try transposed(alias(y, [N, L, O]), [0, 2, 1])
  }

  func convolutionTransposed(
    _ x: Traced, _ weight: Traced, _ bias: Traced?, _ convolution: Convolution
  ) throws(CarouselError) -> Traced {
    let groups = convolution.groups
    guard x.shape.rank >= 3, weight.shape.rank == x.shape.rank, groups >= 1,
      x.shape[1] == weight.shape[0], x.shape[1].isMultiple(of: groups)
    else {
      throw failure(
        "a weight of shape \(weight.shape) in \(groups) groups does not fit an input of shape \(x.shape)"
      )
    }
    let (N, C) = (x.shape[0], x.shape[1])
    let (Og, O) = (weight.shape[1], weight.shape[1] * groups)
    let window = try window(
      convolution, input: Array(x.shape.dimensions[2...]),
      kernel: Array(weight.shape.dimensions[2...]), planes: N * O, isTransposed: true)
    let (L, kernelCount) = (
      window.output[0] * window.output[1], window.kernel[0] * window.kernel[1]
    )
    let direct = DirectConvolution(
      window, batch: N, groups: groups, inputs: C / groups, outputs: Og, isAdjoint: true)
    let shape = Shape([N, O] + window.input.suffix(x.shape.rank - 2))
    if direct.isPreferred { return try convolved(x, weight, bias, direct, shape: shape) }
    let products = WindowProducts(
      batch: N, groups: groups, rows: C / groups, depth: Og * kernelCount, columns: L)
    let columns = product(products.windows, weight, x, shape: [N * O, kernelCount, L])
    whenBackward(columns) { tracer, g in
      if weight.needsGradient {
        let gradient = tracer.product(products.weights, x, g, shape: weight.shape)
        try tracer.addGradient(gradient, to: weight)
      }
      if x.needsGradient {
        let gradient = tracer.product(products.outputs, weight, g, shape: x.shape)
        try tracer.addGradient(gradient, to: x)
      }
    }
    return try addChannels(bias, to: folded(columns, window, shape: shape))
  }

  /// `y [N, C, …] + bias [C]`.
  func addChannels(_ bias: Traced?, to y: Traced) throws(CarouselError) -> Traced {
    guard let bias else { return y }
    return try binary(.add, y, channels(bias, beside: y))
  }

  /// A tensor `[C]` as one that is broadcast along all axes of `y [N, C, …]` but the second.
  func channels(_ x: Traced, beside y: Traced, axis: Int = 1) throws(CarouselError) -> Traced {
    var extents = [Int](repeating: 1, count: y.shape.rank)
    extents[axis] = y.shape[axis]
    guard x.shape.count == extents[axis] else {
      throw failure(
        "a tensor of shape \(x.shape) does not fit the \(extents[axis]) channels of one of shape "
          + "\(y.shape)")
    }
    return try alias(x, Shape(extents))
  }

  func pool(
    _ x: Traced, _ convolution: Convolution, isMaximum: Bool, countsPadding: Bool
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank >= 3, let kernel = convolution.kernel else {
      throw failure(
        "a pool needs a kernel and a tensor of three axes, but has one of shape \(x.shape)")
    }
    let planes = x.shape[0] * x.shape[1]
    let window = try window(
      convolution, input: Array(x.shape.dimensions[2...]), kernel: kernel, planes: planes)
    let columns = try columns(x, window, padding: isMaximum ? -.infinity : 0)
    let pooled = try reduced(isMaximum ? .maximum : .sum, columns, axes: [1])
    let shape = Shape(x.shape.dimensions[..<2] + window.output.suffix(x.shape.rank - 2))
    if isMaximum { return try alias(pooled, shape) }
    let counts = window.counts(
      countsPadding: countsPadding, behind: convolution.padding.behind(axes: kernel.count))
    let shares = constant(
      GraphTensor(Tensor([1, 1, counts.count], counts.map { 1 / Double(max($0, 1)) })))
    return try alias(binary(.multiply, pooled, shares), shape)
  }
}

/// The three products of a convolution, each the gradient of the two others: outputs
/// `[batch, groups, rows, columns]` = weights `[groups, rows, depth]` · windows
/// `[batch, groups, depth, columns]`, for each group by itself.
///
/// Rows are a group's output channels, depth the elements of a window in all of the group's input channels,
/// columns the windows of a plane. A transposed convolution has its inputs in the place of the outputs.
private struct WindowProducts {
  let batch: Int, groups: Int, rows: Int, depth: Int, columns: Int

  init(batch: Int, groups: Int, rows: Int, depth: Int, columns: Int) {
    (self.batch, self.groups) = (batch, groups)
    (self.rows, self.depth, self.columns) = (rows, depth, columns)
  }

  /// Those of a convolution, or of the one whose adjoint it is.
  init(_ direct: DirectConvolution) {
    let window = direct.window
    let (rows, channels) =
      direct.isAdjoint ? (direct.inputs, direct.outputs) : (direct.outputs, direct.inputs)
    self.init(
      batch: direct.batch, groups: direct.groups, rows: rows,
      depth: channels * window.kernel[0] * window.kernel[1],
      columns: window.output[0] * window.output[1])
  }

  private var weightsSize: Int { rows * depth }
  private var outputsSize: Int { rows * columns }
  private var windowsSize: Int { depth * columns }

  /// outputs = weights · windows.
  var outputs: GraphProduct {
    GraphProduct(
      batch: [batch, groups], rows: rows, columns: columns, depth: [1, depth],
      a: .init(batch: [0, weightsSize], outer: depth, depth: [0, 1]),
      b: .init(batch: [groups * windowsSize, windowsSize], outer: 1, depth: [0, columns]),
      yBatch: [groups * outputsSize, outputsSize], yRow: columns, yColumn: 1)
  }

  /// weights = outputs · windowsᵀ, summed over the batch.
  var weights: GraphProduct {
    GraphProduct(
      batch: [1, groups], rows: rows, columns: depth, depth: [batch, columns],
      a: .init(batch: [0, outputsSize], outer: columns, depth: [groups * outputsSize, 1]),
      b: .init(batch: [0, windowsSize], outer: columns, depth: [groups * windowsSize, 1]),
      yBatch: [0, weightsSize], yRow: depth, yColumn: 1)
  }

  /// windows = weightsᵀ · outputs.
  var windows: GraphProduct {
    GraphProduct(
      batch: [batch, groups], rows: depth, columns: columns, depth: [1, rows],
      a: .init(batch: [0, weightsSize], outer: 1, depth: [0, depth]),
      b: .init(batch: [groups * outputsSize, outputsSize], outer: 1, depth: [0, columns]),
      yBatch: [groups * windowsSize, windowsSize], yRow: columns, yColumn: 1)
  }
}

extension ConvolutionPadding {
  fileprivate var isExplicit: Bool { if case .explicit = self { true } else { false } }

  /// What is added behind each of two axes; nil for as much as a window needs.
  fileprivate func behind(axes: Int) -> [Int]? {
    guard case .explicit(_, let after) = self else { return nil }
    let list = after.isEmpty ? [Int](repeating: 0, count: axes) : after
    return axes == 2 ? list : [0] + list
  }
}

extension Window {
  /// Whether the columns are the planes.
  fileprivate var isIdentity: Bool {
    kernel == [1, 1] && strides == [1, 1] && before == [0, 0] && input == output
  }

  /// How many elements each window has within the plane, or within it and its padding.
  fileprivate func counts(countsPadding: Bool, behind: [Int]?) -> [Int] {
    func counts(axis: Int) -> [Int] {
      (0..<output[axis]).map { o in
        (0..<kernel[axis]).count { k in
          guard countsPadding else { return place(axis: axis, window: o, element: k) != nil }
          let place = o * strides[axis] + k * dilations[axis]
          return behind.map { place < before[axis] + input[axis] + $0[axis] } ?? true
        }
      }
    }
    let columns = counts(axis: 1)
    return counts(axis: 0).flatMap { row in columns.map { row * $0 } }
  }
}
