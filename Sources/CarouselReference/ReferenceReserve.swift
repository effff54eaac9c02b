import CarouselModel

/// What the forward pass of one recurrent layer keeps for its backward pass.
///
/// With `training` a row for each step of each sequence, `[T, N, …]`; else one row.
public final class ReferenceReserve: BackendReserve {
  /// The layer that it was made for.
  public let layer: RecurrentLayer
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// Whether a backward pass may follow.
  public let training: Bool
  /// What the cell keeps, `[T, N, K·H]`.
  let kept: ReferenceBackend.Buffer
  /// The states beside h as the cell made them and after zoneout, `[T, N, M, H]` each.
  let fresh: ReferenceBackend.Buffer, cells: ReferenceBackend.Buffer
  /// x·W_ihᵀ and h₋₁·W_hhᵀ before normalisation, `[T, N, G·H]` each.
  let inputProducts: ReferenceBackend.Buffer, recurrentProducts: ReferenceBackend.Buffer
  /// h₋₁ as the recurrent products read it, `[T, N, P]`, and times r where a GRU resets before,
  /// `[T, N, H]`.
  let factors: ReferenceBackend.Buffer, reset: ReferenceBackend.Buffer
  /// The cell's output, which a projection reads, `[T, N, H]`.
  let outputs: ReferenceBackend.Buffer
  /// ∂a and ∂u of every step, `[T, N, G·H]` each, as far as the products; empty without `training`.
  let gradInput: ReferenceBackend.Buffer, gradRecurrent: ReferenceBackend.Buffer

  init(layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, training: Bool)
    throws(CarouselError)
  {
    let rows = training ? sequenceLength * batchSize : 1
    self.layer = layer
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.training = training
    kept = try ReferenceBuffer(count: rows * layer.keptCount * layer.hiddenSize)
    fresh = try ReferenceBuffer(count: rows * layer.memorySize)
    cells = try ReferenceBuffer(count: rows * layer.memorySize)
    inputProducts = try ReferenceBuffer(count: rows * layer.gateRows)
    recurrentProducts = try ReferenceBuffer(count: rows * layer.gateRows)
    factors = try ReferenceBuffer(count: rows * layer.stateSize)
    reset = try ReferenceBuffer(count: rows * layer.hiddenSize)
    outputs = try ReferenceBuffer(count: rows * layer.hiddenSize)
    gradInput = try ReferenceBuffer(count: training ? rows * layer.gateRows : 0)
    gradRecurrent = try ReferenceBuffer(count: training ? rows * layer.gateRows : 0)
  }

  /// Row `index` of one of the arrays, or its only one.
  func row(_ index: Int, of array: ReferenceBackend.Buffer, _ width: Int) -> Matrix {
    array.matrix(training ? sequenceLength * batchSize : 1, width).block(
      training ? index : 0, of: 1)
  }
}

extension RecurrentWork<ReferenceBackend> {
  /// The layer's states in `buffer`, or their gradients.
  func states(in buffer: ReferenceBuffer) -> StateMatrix {
    let elements = buffer.vector(sequenceLength * batchSize * stateRows.stride)
    return StateMatrix(elements: elements + stateRows.offset, stride: stateRows.stride)
  }

  /// The rows of `[T·N, …]` that are sequence n's steps, in the order in which the layer walks.
  func rows(of n: Int) -> [Int] {
    let length = lengths.map { Int($0.values[n]) } ?? sequenceLength
    return (0..<length).map { (layer.isReverse ? length - 1 - $0 : $0) * batchSize + n }
  }
}
