import CarouselModel
import OpenCLDriver

/// One choice of a layer's plan, in words.
package struct PlanLine: Hashable, Sendable, Encodable {
  /// What is chosen, such as `inputs` or `steps back`.
  package let choice: String
  /// What it is.
  package let value: String
  /// Why, in a few words without a full stop.
  package let reason: String

  init(_ choice: String, _ value: String, _ reason: String) {
    (self.choice, self.value, self.reason) = (choice, value, reason)
  }

  fileprivate init<Value>(_ name: String, _ choice: Choice<Value>, _ words: (Value) -> String) {
    self.init(name, words(choice.value), choice.reason)
  }
}

/// The plan of one layer of a stack in one direction, in words.
package struct PlannedLayer: Sendable, Encodable {
  /// What its parameters' names end with, such as `l1_reverse`.
  package let layer: String
  /// Every choice for a pass.
  package let choices: [PlanLine]

  /// The plans of a stack's layers on a device, which does nothing for it.
  ///
  /// - Parameters:
  ///   - configuration: the layers.
  ///   - sequenceLength: T.
  ///   - batchSize: N.
  ///   - hasLengths: whether sequences have lengths of their own.
  ///   - training: whether a backward pass follows.
  ///   - device: what would compute.
  ///   - kernels: the form of the kernels.
  ///   - precision: to what the factors of products may be rounded.
  ///   - cache: where choices of the tuner are kept.
  /// - Returns: a plan for each layer and direction, from the bottom, forward before reverse.
  package static func all(
    _ configuration: RecurrentConfiguration, sequenceLength: Int, batchSize: Int, hasLengths: Bool,
    training: Bool, on device: Device, kernels: KernelForm, precision: ProductPrecision,
    cache: ProgramCache = .standard
  ) -> [PlannedLayer] {
    let form = kernels.resolved(for: device)
    let precision = precision.usable(on: device, form: form)
    let tuned = TuningFile(cache, device: device, form: form, precision: precision).load()
    let plannedDevice = PlanDevice(device, form: form, precision: precision)
    return configuration.units.map { unit in
      let isMasked = training && unit.layer.options.recurrentDropout > 0
      let plan = LayerPlan(
        PlannedWork(
          layer: unit.layer, sequenceLength: sequenceLength, batchSize: batchSize,
          hasLengths: hasLengths,
          recurrentInputStride: isMasked ? unit.layer.stateSize : configuration.outputSize),
        on: plannedDevice,
        tuning: tuned[TunedLayer(layer: unit.layer, batchSize: batchSize).name] ?? LayerTuning())
      return PlannedLayer(
        layer: String(unit.suffix.dropFirst()),
        choices: plan.lines.filter { training || !LayerPlan.backwardChoices.contains($0.choice) })
    }
  }
}

extension LayerPlan {
  /// The choices that only a backward pass has.
  static let backwardChoices: Set = ["steps back", "input gradients", "packed gradients"]

  /// Every choice, in words.
  var lines: [PlanLine] {
    [PlanLine("strategy", strategy, \.words), PlanLine("inputs", inputs, \.words)]
      + strategyLines + [
        PlanLine("input gradients", inputGradientsDuringSteps) {
          $0 ? "during the steps back" : "after the steps back"
        },
        PlanLine("packed gradients", packsGradients) { $0 ? "yes" : "no" },
      ]
  }

  private var strategyLines: [PlanLine] {
    switch strategy.value {
    case .stagedSequence, .stagedSteps: []
    case .sequence(let plan):
      [
        PlanLine("steps", plan.forward, \.words), PlanLine("steps back", plan.backward, \.words),
        PlanLine(
          "tile", "\(plan.tileUnits) hidden units", "so many have whole panels of all gates"),
        PlanLine("weights fetched ahead", plan.fetchesAhead) { $0 ? "yes" : "no" },
        PlanLine("gates and states fetched", plan.fetchesRows) { $0 ? "yes" : "no" },
        PlanLine("states copied", plan.copiesStates) {
          $0 ? "to rows \(4 * plan.copyStride) bytes apart" : "no"
        },
      ]
    case .persistent(let plan):
      [
        PlanLine("steps", plan.forward) { $0?.words ?? plan.stepWords },
        PlanLine("steps back", plan.backward) { $0?.words ?? plan.stepWords },
      ]
    }
  }
}

extension LayerPlan.Strategy {
  fileprivate var words: String {
    switch self {
    case .sequence: "all steps in one launch, a work-item for each core"
    case .stagedSequence(let slices):
      "all steps in one launch, in stages, \(slices) slices of the batch"
    case .persistent(let plan):
      plan.forward.value == nil ? "a launch for each step" : "all steps in one launch"
    case .stagedSteps: "launches for each stage of each step"
    }
  }
}

extension LayerPlan.InputProduct {
  fileprivate var words: String {
    switch self {
    case .before: "for all steps, in a launch before the steps"
    case .duringSteps: "at each step, in the launch of the steps"
    case .beforeFirstStep: "for all steps, in the launch of the steps"
    }
  }
}

extension SequencePlan.Division {
  fileprivate var words: String {
    switch self {
    case .slices(1): "one core"
    case .slices(let count): "\(count) slices of the batch"
    case .splits(let count): "\(count) splits of the hidden units"
    }
  }
}

extension PersistentPlan {
  fileprivate var stepWords: String {
    "a launch for each step, groups of \(stepUnits) units and \(stepBatch) sequences"
  }
}
