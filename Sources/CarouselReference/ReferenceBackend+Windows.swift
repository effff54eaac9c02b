import CarouselModel

extension ReferenceBackend {
  /// For each element of each window: its place in the columns, and in x where it is over one.
  private func forEachPlace(_ window: Window, _ body: (_ column: Int, _ place: Int?) -> Void) {
    let (kernel, output, input) = (window.kernel, window.output, window.input)
    var column = 0
    for p in 0..<window.planes {
      for kh in 0..<kernel[0] {
        for kw in 0..<kernel[1] {
          for ho in 0..<output[0] {
            for wo in 0..<output[1] {
              let h = window.place(axis: 0, window: ho, element: kh)
              let w = window.place(axis: 1, window: wo, element: kw)
              if let h, let w {
                body(column, (p * input[0] + h) * input[1] + w)
              } else {
                body(column, nil)
              }
              column += 1
            }
          }
        }
      }
    }
  }

  /// A convolution or its adjoint.
  public func convolve(
    _ convolution: DirectConvolution, _ x: Buffer, weight: Buffer, bias: Buffer?, added: Buffer?,
    into y: Buffer
  ) throws {
    try checkConvolution(convolution, x: x, weight: weight, bias: bias, added: added, y: y)
    let (D, R, kernel) = (convolution.inputs, convolution.outputs, convolution.window.kernel)
    let (input, output) = (convolution.inputExtents, convolution.outputExtents)
    let taps = kernel[0] * kernel[1]
    let activation = convolution.activation.function
    // What each row or column of y meets: elements of the window, and their places in x.
    func places(_ axis: Int) -> [[(Int, Int)]] {
      (0..<output[axis]).map { p in
        (0..<kernel[axis]).compactMap { k in
          convolution.place(axis: axis, output: p, element: k).map { (k, $0) }
        }
      }
    }
    func sum(_ image: Int, _ r: Int, _ rows: [(Int, Int)], _ columns: [(Int, Int)]) -> Double {
      let group = image % convolution.groups
      var sum = bias?.elements[group * R + r] ?? 0
      for d in 0..<D {
        let weights =
          taps * (convolution.isAdjoint ? (group * D + d) * R + r : (group * R + r) * D + d)
        for (kh, h) in rows {
          let row = ((image * D + d) * input[0] + h) * input[1]
          for (kw, w) in columns {
            sum += weight.elements[weights + kh * kernel[1] + kw] * x.elements[row + w]
          }
        }
      }
      return convolution.activation == .none ? sum : activation.value(sum)
    }
    let (allRows, allColumns) = (places(0), places(1))
    var index = 0
    for image in 0..<convolution.batch * convolution.groups {
      for r in 0..<R {
        for rows in allRows {
          for columns in allColumns {
            y.elements[index] =
              sum(image, r, rows, columns) + (added.map { $0.elements[index] } ?? 0)
            index += 1
          }
        }
      }
    }
  }

  /// The windows of x as columns.
  public func unfold(_ window: Window, _ x: Buffer, into columns: Buffer, padding: Double) throws {
    try checkWindow(window, plane: x, columns: columns)
    forEachPlace(window) { column, place in
      columns.elements[column] = place.map { x.elements[$0] } ?? padding
    }
  }

  /// The windows of x as rows.
  public func unfoldRows(_ window: Window, channels: Int, _ x: Buffer, into rows: Buffer) throws {
    try checkWindow(window, plane: x, columns: rows)
    let (K, L) = (window.kernel[0] * window.kernel[1], window.output[0] * window.output[1])
    forEachPlace(window) { column, place in
      let (l, k, plane) = (column % L, column / L % K, column / L / K)
      let row = (plane / channels * L + l) * channels + plane % channels
      rows.elements[row * K + k] = place.map { x.elements[$0] } ?? 0
    }
  }

  /// The sums of columns at the places that they come from.
  public func fold(_ window: Window, _ columns: Buffer, into x: Buffer) throws {
    try checkWindow(window, plane: x, columns: columns)
    x.first(window.inputCount).update(repeating: 0)
    forEachPlace(window) { column, place in
      if let place { x.elements[place] += columns.elements[column] }
    }
  }

  /// `y[o, m, i] = x[o, indices[m], i]`, 0 for a negative index.
  public func gather(
    _ x: Buffer, indices: IndexBuffer, into y: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int
  ) throws {
    try checkGather(
      x: x, indices: indices, y: y, outer: outer, extent: extent, inner: inner, count: count)
    for o in 0..<outer {
      for m in 0..<count {
        let (index, row) = (Int(indices.values[m]), (o * count + m) * inner)
        for i in 0..<inner {
          y.elements[row + i] = index < 0 ? 0 : x.elements[(o * extent + index) * inner + i]
        }
      }
    }
  }

  /// `x[o, v, i] = Σ y[o, m, i]` over all m with `indices[m] = v`, in the order of m.
  public func scatter(
    _ y: Buffer, indices: IndexBuffer, into x: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int
  ) throws {
    try checkGather(
      x: x, indices: indices, y: y, outer: outer, extent: extent, inner: inner, count: count)
    x.first(outer * extent * inner).update(repeating: 0)
    for o in 0..<outer {
      for m in 0..<count where indices.values[m] >= 0 {
        let row = (o * extent + Int(indices.values[m])) * inner
        for i in 0..<inner { x.elements[row + i] += y.elements[(o * count + m) * inner + i] }
      }
    }
  }
}
