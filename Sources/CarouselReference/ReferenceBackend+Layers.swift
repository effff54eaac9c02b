import CarouselModel

extension ReferenceBackend {
  /// `y[m, :] = weight[indices[m], :]` with `weight [V, E]`, `y [M, E]`, 0 ≤ index < V.
  public func embeddingForward(
    indices: IndexBuffer, weight: Buffer, y: Buffer, count: Int, vocabulary: Int, width: Int
  ) throws {
    try checkEmbedding(
      indices: indices, table: weight, rows: y, count: count, vocabulary: vocabulary, width: width)
    let weight = weight.matrix(vocabulary, width)
    let y = y.matrix(count, width)
    for (m, index) in indices.values.prefix(count).enumerated() {
      y[m].update(from: weight[Int(index)], count: width)
    }
  }

  /// `gradWeight[v, :] = Σ gradY[m, :]` over all m with `indices[m] = v`, in the order of m.
  public func embeddingBackward(
    indices: IndexBuffer, gradY: Buffer, gradWeight: Buffer, count: Int, vocabulary: Int, width: Int
  ) throws {
    try checkEmbedding(
      indices: indices, table: gradWeight, rows: gradY, count: count, vocabulary: vocabulary,
      width: width)
    let gradWeight = gradWeight.matrix(vocabulary, width)
    let gradY = gradY.matrix(count, width)
    gradWeight.fill(with: 0)
    for (m, index) in indices.values.prefix(count).enumerated() {
      for e in 0..<width { gradWeight[Int(index)][e] += gradY[m][e] }
    }
  }

  /// `y = x·weightᵀ + bias` with `x [M, K]`, `weight [O, K]`, `bias [O]` or nil, `y [M, O]`.
  public func linearForward(
    x: Buffer, weight: Buffer, bias: Buffer?, y: Buffer, rows: Int, inputSize: Int, outputSize: Int
  ) throws {
    try checkLinear(
      x: x, weight: weight, bias: bias, y: y, rows: rows, inputSize: inputSize,
      outputSize: outputSize)
    let y = y.matrix(rows, outputSize)
    y.fill(with: 0)
    if let bias { y.addToRows(bias.vector(outputSize)) }
    y.addProduct(x.matrix(rows, inputSize), transposed: weight.matrix(outputSize, inputSize))
  }

  /// `gradX = gradY·weight`, `gradWeight = gradYᵀ·x`, `gradBias = Σₘ gradY[m, :]`.
  public func linearBackward(
    x: Buffer, weight: Buffer, gradY: Buffer, gradX: Buffer?, gradWeight: Buffer,
    gradBias: Buffer?, rows: Int, inputSize: Int, outputSize: Int
  ) throws {
    try checkLinearBackward(
      x: x, weight: weight, gradY: gradY, gradX: gradX, gradWeight: gradWeight,
      gradBias: gradBias, rows: rows, inputSize: inputSize, outputSize: outputSize)
    let gradY = gradY.matrix(rows, outputSize)
    if let gradX = gradX?.matrix(rows, inputSize) {
      gradX.fill(with: 0)
      gradX.addProduct(gradY, weight.matrix(outputSize, inputSize))
    }
    let gradWeight = gradWeight.matrix(outputSize, inputSize)
    gradWeight.fill(with: 0)
    gradWeight.addProduct(transposed: gradY, x.matrix(rows, inputSize))
    if let gradBias { gradY.sumRows(into: gradBias.vector(outputSize)) }
  }

  /// `y[i] = x[i] / (1 − p)` where `random.uniform(i) ≥ p`, else 0; `y` may be `x`.
  ///
  /// Srivastava et al. 2014, scaled in training so that the expectation stays.
  public func dropout(
    _ x: Buffer, y: Buffer, count: Int, probability: Double, random: Philox
  ) throws {
    try checkDropout(x, y: y, count: count, probability: probability)
    let x = x.first(count)
    let y = y.first(count)
    for i in 0..<count {
      y[i] = random.uniform(i) >= probability ? x[i] / (1 - probability) : 0
    }
  }

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
