import CarouselModel

extension ReferenceBackend {
  /// `y[into] = x[from]`, or that much more.
  public func copyView(
    _ x: Buffer, _ from: StridedView, to y: Buffer, _ into: StridedView, accumulates: Bool
  ) throws {
    try checkCopy(x, from, y, into)
    for (source, destination) in zip(from.places, into.places) {
      y.elements[destination] =
        x.elements[source] + (accumulates ? y.elements[destination] : 0)
    }
  }

  /// `y[i] = function(inputs[0][i], …)`.
  public func elementwise(
    _ function: ElementwiseFunction, _ inputs: [(buffer: Buffer, view: StridedView)],
    into y: Buffer,
    extents: [Int]
  ) throws {
    try checkElementwise(function, inputs, y, extents: extents)
    var places = inputs.map(\.view.places)
    var arguments = [0.0, 0.0, 0.0, 0.0]
    for i in 0..<extents.reduce(1, *) {
      for index in inputs.indices {
        if let place = places[index].next() {
          arguments[index] = inputs[index].buffer.elements[place]
        }
      }
      y.elements[i] = function.value(arguments[0], arguments[1], arguments[2], arguments[3])
    }
  }

  /// `y[i] = scale · Σ f(x[i + r])`, in the order of r.
  public func reduce(
    _ reduction: Reduction, _ x: Buffer, kept: StridedView, reduced: StridedView, into y: Buffer,
    scale: Double
  ) throws {
    try checkReduce(x, kept: kept, reduced: reduced, y)
    let results = HostLoops.reduce(reduction, kept: kept, reduced: reduced, scale: scale) {
      x.elements[$0]
    }
    _ = y.first(results.count).update(fromContentsOf: results)
  }

  /// `y[b, m, n] = Σₖ a[b, m, k]·w[b, k, n]`, in the order of k.
  public func product(
    _ product: GraphProduct, _ a: Buffer, _ b: Buffer, into y: Buffer
  ) throws {
    try checkProduct(product, a, b, y)
    for b1 in 0..<product.batch[0] {
      for b2 in 0..<product.batch[1] {
        for m in 0..<product.rows {
          for n in 0..<product.columns {
            let first = b1 * product.a.batch[0] + b2 * product.a.batch[1] + m * product.a.outer
            let second = b1 * product.b.batch[0] + b2 * product.b.batch[1] + n * product.b.outer
            var sum = 0.0
            for k1 in 0..<product.depth[0] {
              for k2 in 0..<product.depth[1] {
                sum +=
                  a.elements[first + k1 * product.a.depth[0] + k2 * product.a.depth[1]]
                  * b.elements[second + k1 * product.b.depth[0] + k2 * product.b.depth[1]]
              }
            }
            let place = b1 * product.yBatch[0] + b2 * product.yBatch[1]
            y.elements[place + m * product.yRow + n * product.yColumn] = sum
          }
        }
      }
    }
  }

  /// Softmax of each row, or its logarithm, with the row's largest element taken from all.
  public func softmax(
    _ x: Buffer, into y: Buffer, rows: Int, width: Int, isLogarithm: Bool
  ) throws {
    try check(x, "x", rows, width)
    try check(y, "y", rows, width)
    let (x, y) = (x.matrix(rows, width), y.matrix(rows, width))
    for row in 0..<rows {
      let logits = Array(UnsafeBufferPointer(start: x[row], count: width))
      let largest = logits.reduce(-.infinity, Reduction.maximum.combine)
      let sum = logits.reduce(0) { $0 + UnaryFunction.exponential.value($1 - largest) }
      for v in 0..<width {
        let logarithm = logits[v] - largest - UnaryFunction.logarithm.value(sum)
        y[row][v] =
          isLogarithm
          ? logarithm : UnaryFunction.exponential.value(logits[v] - largest) / sum
      }
    }
  }

  /// `gradX = y·(gradY − Σ gradY·y)`, or of the logarithm `gradY − eʸ·Σ gradY`.
  public func softmaxBackward(
    y: Buffer, gradY: Buffer, into gradX: Buffer, rows: Int, width: Int, isLogarithm: Bool
  ) throws {
    for buffer in [y, gradY, gradX] { try check(buffer, "softmax", rows, width) }
    let (y, gradY, gradX) = (
      y.matrix(rows, width), gradY.matrix(rows, width), gradX.matrix(rows, width)
    )
    for row in 0..<rows {
      var sum = 0.0
      for v in 0..<width { sum += isLogarithm ? gradY[row][v] : gradY[row][v] * y[row][v] }
      for v in 0..<width {
        gradX[row][v] =
          isLogarithm
          ? gradY[row][v] - UnaryFunction.exponential.value(y[row][v]) * sum
          : y[row][v] * (gradY[row][v] - sum)
      }
    }
  }

  /// `y = (x − mean)/√(variance + ε)` of each row, over the columns that count.
  public func normalize(
    _ x: Buffer, weights: Buffer?, into y: Buffer, statistics: Buffer, rows: Int, width: Int,
    epsilon: Double
  ) throws {
    try check(x, "x", rows, width)
    try check(y, "y", rows, width)
    try check(weights, "weights", width)
    try check(statistics, "statistics", 2, rows)
    let weights = weights.map { Array($0.first(width)) } ?? [Double](repeating: 1, count: width)
    let counted = weights.indices.filter { weights[$0] != 0 }
    let (x, y, statistics) = (
      x.matrix(rows, width), y.matrix(rows, width), statistics.matrix(2, rows)
    )
    for row in 0..<rows {
      let count = Double(max(counted.count, 1))
      let mean = counted.reduce(0) { $0 + x[row][$1] } / count
      let variance = counted.reduce(0) { $0 + (x[row][$1] - mean) * (x[row][$1] - mean) } / count
      let rstd = 1 / (variance + epsilon).squareRoot()
      for v in 0..<width { y[row][v] = 0 }
      for v in counted { y[row][v] = (x[row][v] - mean) * rstd }
      (statistics[0][row], statistics[1][row]) = (mean, rstd)
    }
  }

  /// `gradX = rstd·(gradY − mean(gradY) − y·mean(gradY·y))`, over the columns that count.
  public func normalizeBackward(
    y: Buffer, statistics: Buffer, weights: Buffer?, gradY: Buffer, into gradX: Buffer, rows: Int,
    width: Int
  ) throws {
    for buffer in [y, gradY, gradX] { try check(buffer, "normalize", rows, width) }
    try check(weights, "weights", width)
    try check(statistics, "statistics", 2, rows)
    let weights = weights.map { Array($0.first(width)) } ?? [Double](repeating: 1, count: width)
    let counted = weights.indices.filter { weights[$0] != 0 }
    let rstd = statistics.matrix(2, rows)[1]
    let (y, gradY, gradX) = (
      y.matrix(rows, width), gradY.matrix(rows, width), gradX.matrix(rows, width)
    )
    for row in 0..<rows {
      let count = Double(max(counted.count, 1))
      let mean = counted.reduce(0) { $0 + gradY[row][$1] } / count
      let slope = counted.reduce(0) { $0 + gradY[row][$1] * y[row][$1] } / count
      for v in 0..<width { gradX[row][v] = 0 }
      for v in counted { gradX[row][v] = rstd[row] * (gradY[row][v] - mean - y[row][v] * slope) }
    }
  }
}
