import CarouselModel

extension ReferenceBackend {
  /// `x[i] += y[i]` over the first `count` elements.
  public func add(_ y: Buffer, to x: Buffer, count: Int) throws {
    try check(x, "x", count)
    try check(y, "y", count)
    let (x, y) = (x.first(count), y.first(count))
    for i in 0..<count { x[i] += y[i] }
  }

  /// `y` from the outputs `a` and `b`, each `[rows, width]`, of two directions; see `Merge`.
  public func mergeForward(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int
  ) throws {
    try checkMerge(merge, a, b, y, rows: rows, width: width)
    let (a, b, y) = (a.matrix(rows, width), b.matrix(rows, width), y.matrix(rows, width))
    for m in 0..<rows {
      for j in 0..<width {
        switch merge {
        case .concatenate: break
        case .sum: y[m][j] = a[m][j] + b[m][j]
        case .average: y[m][j] = (a[m][j] + b[m][j]) / 2
        case .multiply: y[m][j] = a[m][j] * b[m][j]
        }
      }
    }
  }

  /// The gradients of `a` and `b` from `gradY`.
  public func mergeBackward(
    _ merge: Merge, gradY: Buffer, _ a: Buffer, _ b: Buffer, gradA: Buffer, gradB: Buffer,
    rows: Int, width: Int
  ) throws {
    try checkMerge(merge, gradY, a, b, gradA, gradB, rows: rows, width: width)
    let (a, b) = (a.matrix(rows, width), b.matrix(rows, width))
    let (gradA, gradB) = (gradA.matrix(rows, width), gradB.matrix(rows, width))
    let gradY = gradY.matrix(rows, width)
    for m in 0..<rows {
      for j in 0..<width {
        let grad = gradY[m][j]
        (gradA[m][j], gradB[m][j]) =
          switch merge {
          case .concatenate, .sum: (grad, grad)
          case .average: (grad / 2, grad / 2)
          case .multiply: (grad * b[m][j], grad * a[m][j])
          }
      }
    }
  }
}
