import CarouselModel

extension ReferenceBackend {
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
}
