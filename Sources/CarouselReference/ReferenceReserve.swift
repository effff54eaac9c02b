import CarouselModel

/// What the forward pass of one recurrent layer keeps for its backward pass.
public final class ReferenceReserve {
  let layer: RecurrentLayer
  let steps: Int
  let batchSize: Int
  let training: Bool
  /// What the cell keeps, `[T, N, K·H]`; of one row alone without `training`.
  let kept: ReferenceBackend.Buffer
  /// The cell states, `[T, N, H]`; of one row alone without `training`.
  let cells: ReferenceBackend.Buffer
  /// ∂a and ∂u of every step, `[T, N, G·H]` each; empty without `training`.
  let gradInput: ReferenceBackend.Buffer
  let gradRecurrent: ReferenceBackend.Buffer
  /// h₋₁ of every step, `[T, N, H]`, as the backward pass meets it; empty without `training`.
  let previousHidden: ReferenceBackend.Buffer
  /// Of the step that a pass is at: a and u `[G·H]`, the states `[H]` and their gradients.
  let input: ReferenceBackend.Buffer, recurrent: ReferenceBackend.Buffer
  let hidden: ReferenceBackend.Buffer, cell: ReferenceBackend.Buffer
  let gradHidden: ReferenceBackend.Buffer, gradCell: ReferenceBackend.Buffer

  init(layer: RecurrentLayer, steps: Int, batchSize: Int, training: Bool) throws(CarouselError) {
    let rows = training ? steps * batchSize : 1
    self.layer = layer
    self.steps = steps
    self.batchSize = batchSize
    self.training = training
    kept = try ReferenceBuffer(count: rows * layer.keptCount * layer.hiddenSize)
    cells = try ReferenceBuffer(count: rows * layer.hiddenSize)
    gradInput = try ReferenceBuffer(count: training ? rows * layer.gateRows : 0)
    gradRecurrent = try ReferenceBuffer(count: training ? rows * layer.gateRows : 0)
    previousHidden = try ReferenceBuffer(count: training ? rows * layer.hiddenSize : 0)
    input = try ReferenceBuffer(count: layer.gateRows)
    recurrent = try ReferenceBuffer(count: layer.gateRows)
    hidden = try ReferenceBuffer(count: layer.hiddenSize)
    cell = try ReferenceBuffer(count: layer.hiddenSize)
    gradHidden = try ReferenceBuffer(count: layer.hiddenSize)
    gradCell = try ReferenceBuffer(count: layer.hiddenSize)
  }

  /// Stops the program where the reserve was made for another layer or other sizes.
  func check(_ work: RecurrentWork<ReferenceBackend>) {
    precondition(
      work.layer == layer && work.steps == steps && work.batchSize == batchSize,
      "the reserve was made for another layer or other sizes")
  }
}

extension RecurrentWork<ReferenceBackend> {
  /// The rows of `[T·N, …]` that are sequence n's steps, in the order in which the layer walks.
  func rows(of n: Int) -> [Int] {
    let length = lengths.map { Int($0.vector(batchSize)[n]) } ?? steps
    precondition(0...steps ~= length, "sequence \(n) has \(length) of \(steps) steps")
    return (0..<length).map { (layer.isReverse ? length - 1 - $0 : $0) * batchSize + n }
  }
}
