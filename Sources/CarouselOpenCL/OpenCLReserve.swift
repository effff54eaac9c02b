import CarouselModel
import OpenCLDriver

/// What a recurrent layer's forward pass keeps for its backward pass, in device memory.
public final class OpenCLReserve: BackendReserve {
  /// The layer that it was made for.
  public let layer: RecurrentLayer
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// Whether a backward pass may follow.
  public let training: Bool
  /// `[T, N, SLOTS, H]`: x·Wᵀ + b, then what the backward pass needs, then the gradients of the sums.
  let gates: Buffer
  /// The floats from a row `[SLOTS, H]` of `gates` to the next.
  let gatesStride: Int
  /// Every state beside h, `[T, N, M, H]`, or without `training` the last one `[N, M, H]`.
  let cells: Buffer?
  /// The same before zoneout, `[T, N, M, H]`, in layers with it.
  let cellsBeforeZoneout: Buffer?
  /// Their gradients, carried from step to step, `[N, M, H]`.
  let gradCell: Buffer?
  /// What a layer in stages keeps besides: `recurrent/staged.cl`.
  let staged: StagedReserve?

  /// What computes the layer's steps, once it did.
  var strategy: (any RecurrentStrategy)?
  /// The last plan, and what it was made from.
  var plan: (basis: PlanBasis, plan: LayerPlan)?
  /// The recurrent weights as the products of the last pass read them, where they are not the
  /// parameter itself.
  var weightHH: Buffer?
  /// The inputs of the last pass with zeros past the lengths.
  var x: Buffer?
  /// What was drawn for the last pass.
  var masks: RecurrentMasks?

  init(
    _ launcher: Launcher, _ layer: RecurrentLayer, sequenceLength: Int, batchSize: Int,
    training: Bool
  ) throws {
    self.layer = layer
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    let state = batchSize * layer.memorySize
    let hasCell = state > 0
    gatesStride = launcher.plannedDevice.rowStride(layer.slotCount * layer.hiddenSize)
    gates = try launcher.scratch(count: sequenceLength * batchSize * gatesStride)
    cells = hasCell ? try launcher.scratch(count: training ? sequenceLength * state : state) : nil
    cellsBeforeZoneout =
      hasCell && layer.hasZoneout && training
      ? try launcher.scratch(count: sequenceLength * state) : nil
    gradCell = hasCell && training ? try launcher.scratch(count: state) : nil
    staged =
      layer.isStaged
      ? try StagedReserve(
        launcher, layer, sequenceLength: sequenceLength, batchSize: batchSize, training: training)
      : nil
    self.training = training
  }
}

/// What a layer in stages keeps: arrays over all steps, or without training over one.
struct StagedReserve {
  /// `[T, N, G, H]`: the recurrent products, normalised where the layer is.
  let sums: Buffer
  /// Of a normalised layer: the normalised input products `[T, N, G, H]`, and the reciprocal standard
  /// deviations of both products, `[T, N, 2]` each.
  let normalizedInput: Buffer?, inputRstd: Buffer?, rstd: Buffer?
  /// The same of c, `[T, N, H]` and `[T, N]`.
  let normalizedCell: Buffer?, cellRstd: Buffer?
  /// r ⊙ h₋₁ `[T, N, H]`, where the reset gate is before the product.
  let reset: Buffer?
  /// What is projected, `[T, N, H]`.
  let hidden: Buffer?
  /// Of the backward pass: the gradients of the recurrent products `[T, N, G, H]` of a normalised
  /// layer, of its normalised c `[T, N, H]`, and of what a projection made `[T, N, P]`.
  let gradients: Buffer?, gradCell: Buffer?, gradStates: Buffer?

  init(
    _ launcher: Launcher, _ layer: RecurrentLayer, sequenceLength: Int, batchSize: Int,
    training: Bool
  ) throws {
    let isNormed = layer.options.layerNorm
    let isCellNormed = isNormed && layer.cell.traits.normalizesMemory
    let (all, kept) = (
      sequenceLength * batchSize, training ? sequenceLength * batchSize : batchSize
    )
    func array(_ isThere: Bool, _ count: Int) throws -> Buffer? {
      isThere ? try launcher.scratch(count: count) : nil
    }
    sums = try launcher.scratch(count: kept * layer.gateRows)
    normalizedInput = try array(isNormed, all * layer.gateRows)
    inputRstd = try array(isNormed, all * 2)
    rstd = try array(isNormed, kept * 2)
    normalizedCell = try array(isCellNormed, kept * layer.hiddenSize)
    cellRstd = try array(isCellNormed, kept)
    reset = try array(layer.resetsBefore, kept * layer.hiddenSize)
    let isProjected = layer.options.projectionSize != nil
    hidden = try array(isProjected, kept * layer.hiddenSize)
    gradients = try array(isNormed && training, all * layer.gateRows)
    gradCell = try array(isCellNormed && training, all * layer.hiddenSize)
    gradStates = try array(isProjected && training, all * layer.stateSize)
  }
}
