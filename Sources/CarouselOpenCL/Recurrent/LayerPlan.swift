import CarouselModel

/// What was chosen, and why.
struct Choice<Value: Hashable & Sendable>: Hashable, Sendable {
  let value: Value
  /// The reason, in a few words without a full stop.
  let reason: String

  init(_ value: Value, _ reason: String) {
    self.value = value
    self.reason = reason
  }
}

/// How a device computes one recurrent layer: every choice that there is, each with its reason.
///
/// A value that depends on nothing but the work, the device's numbers and what was tuned: see `init`. The
/// strategies read it and decide nothing themselves.
struct LayerPlan: Hashable, Sendable {
  /// How the steps are computed.
  enum Strategy: Hashable, Sendable {
    /// All steps in one launch of work-items that are a core each (`recurrent/sequence.cl`).
    case sequence(SequencePlan)
    /// The same for layers whose steps have stages (`recurrent/staged_sequence.cl`).
    case stagedSequence(slices: Int)
    /// All steps in one launch of a GPU's work-groups (`recurrent/persistent.cl`), or a launch for each step
    /// (`recurrent/step.cl`).
    case persistent(PersistentPlan)
    /// Launches for each stage of each step (`recurrent/staged_step.cl`).
    case stagedSteps
  }

  /// When the inputs are multiplied with `weight_ih`.
  enum InputProduct: Hashable, Sendable {
    /// For all steps, in a launch of its own before the steps.
    case before
    /// For each step, in the launch of the steps.
    case duringSteps
    /// For all steps, in the launch of the steps, before the first.
    case beforeFirstStep
  }

  let strategy: Choice<Strategy>
  let inputs: Choice<InputProduct>
  /// Whether the gradients of the inputs are computed in the launch of the steps back.
  let inputGradientsDuringSteps: Choice<Bool>
  /// Whether the steps back pack what the gradients of the weights are computed from, and leave out the steps
  /// that sequences do not have.
  let packsGradients: Choice<Bool>
}

/// What a plan is made for.
struct PlannedWork: Hashable, Sendable {
  var layer: RecurrentLayer
  /// T and N.
  var sequenceLength: Int, batchSize: Int
  /// Whether sequences have lengths of their own.
  var hasLengths = false
  /// The floats from a state that a recurrent product reads to the next sequence's.
  var recurrentInputStride: Int

  /// Floating-point operations of the product of all inputs.
  var inputFlops: Double {
    2 * Double(sequenceLength * batchSize * layer.gateRows) * Double(layer.inputSize)
  }
}

extension LayerPlan {
  /// The plan of a layer that is computed as a sequence.
  var sequence: SequencePlan {
    guard case .sequence(let plan) = strategy.value else {
      preconditionFailure("a plan for another strategy")
    }
    return plan
  }

  /// The plan of a layer that a GPU computes in one launch, or in one for each step.
  var persistent: PersistentPlan {
    guard case .persistent(let plan) = strategy.value else {
      preconditionFailure("a plan for another strategy")
    }
    return plan
  }

  /// The reason for what `LayerTuning` says.
  static let tuned = "the tuner measured it to be faster"

  /// Decides how a device computes a layer.
  ///
  /// - Parameters:
  ///   - work: the layer and its sizes.
  ///   - device: the device's numbers.
  ///   - tuning: what was measured to be faster than the rules.
  ///   - persistentTiles: lists the tiles of a persistent layer, the fastest first, which takes milliseconds;
  ///     whoever makes many plans keeps the lists.
  init(
    _ work: PlannedWork, on device: PlanDevice, tuning: LayerTuning = LayerTuning(),
    persistentTiles: (PersistentWork) -> [PersistentTile] = { $0.tiles() }
  ) {
    let (layer, isStaged) = (work.layer, work.layer.isStaged)
    inputs =
      device.form == .cpu && !isStaged
      ? SequencePlanner(work, device, tuning).inputs
      : Choice(
        .before,
        isStaged
          ? "a staged step reads products that are there" : "a product of all steps fills a GPU")
    switch device.form {
    case .cpu where isStaged:
      let slices = min(work.batchSize, device.computeUnits)
      strategy = Choice(
        .stagedSequence(slices: slices),
        "\(layer.stagedReason), so a core takes whole sequences through the stages of a step")
    case .cpu:
      strategy = Choice(
        .sequence(SequencePlanner(work, device, tuning).plan),
        "a core keeps its sequences and a part of the weights in its caches over all steps")
    case .gpu where isStaged:
      strategy = Choice(
        .stagedSteps,
        "\(layer.stagedReason), and a launch is where all work-groups wait for each other")
    default:
      strategy = Choice(
        .persistent(PersistentPlan(work, on: device, tuning, tiles: persistentTiles)),
        "one launch for all steps where a work-group, or all together, have room for the weights")
    }
    if case .sequence = strategy.value {
      inputGradientsDuringSteps = SequencePlanner(work, device, tuning).inputGradientsDuringSteps
      packsGradients = Choice(
        true, "gradients, inputs and states are in the core's cache when a step back ends")
    } else {
      inputGradientsDuringSteps = Choice(false, "a product of all steps follows")
      packsGradients = Choice(false, "the products read gradients and states where they are")
    }
  }
}

extension RecurrentLayer {
  /// Why a step of the layer has stages.
  fileprivate var stagedReason: String {
    if options.layerNorm { return "a normalization needs the sums of all units" }
    if options.projectionSize != nil { return "a projection needs the states of all units" }
    return "the new gate needs the reset gates of all units"
  }
}
