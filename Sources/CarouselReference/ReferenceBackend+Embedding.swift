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
}
