import ArgumentParser
import Carousel
import Foundation

/// The words that describe what is in a cell: `CellOptions` from the command line.
struct GateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An activation: the RNN's, or as GATE=NAME that of a gate; repeatable.",
      discussion: "The functions are ONNX's: "
        + "\(NamedActivation.functions.map(\.rawValue).joined(separator: ", ")); alpha and beta "
        + "follow behind colons. The gates: "
        + Cell.allCases.map {
          "\($0.rawValue): \($0.activationNames.joined(separator: ", "))"
        }.joined(separator: "; ") + ".",
      valueName: "[gate=]name[:alpha[:beta]]"))
  var activation: [NamedActivation] = []

  @Flag(help: "Let the LSTM's gates see the cell state.")
  var peepholes = false

  @Option(help: "The bias vectors of a layer: double (PyTorch's two), single or none.")
  var bias: BiasMode?

  @Flag(help: "The same as --bias none.")
  var noBias = false

  @Option(
    help: """
      The recurrent weights: dense, diagonal, where each unit remembers by itself (IndRNN), or
      blocks:K, K heads that remember apart.
      """)
  var recurrence: Recurrence?

  @Option(
    help: ArgumentHelp(
      "Let the LSTM's forget gate share the weights of another: input=forget or forget=output.",
      valueName: "gate=gate"))
  var tie: GateTie?

  @Flag(help: "Let the LSTM's forget gate be 1 - input (CIFG).")
  var coupleInputForget = false

  @Option(
    help: ArgumentHelp(
      "Let the LSTM's forget gate be this constant, without weights.", valueName: "λ"))
  var forgetDecay: Double?

  @Option(
    help: ArgumentHelp(
      "Hold a gate at a constant, forward and backward; repeatable.", valueName: "gate=value"))
  var override: [GateOverride] = []

  @Option(
    help: ArgumentHelp("The bound on the LSTM's |c| at each step.", valueName: "bound"))
  var cellClip: Double?

  @Option(help: "Where the GRU's reset gate stands: after the recurrent product, or before it.")
  var gruReset: GRUReset?

  @Option(
    help: ArgumentHelp(
      "P, to which the LSTM's output is projected before the next step.", valueName: "count"))
  var projectionSize: Int?

  @Flag(help: "Normalise the products, and the LSTM's cell state, of each step (Ba et al. 2016).")
  var layerNorm = false

  @Option(
    help: ArgumentHelp(
      "The probability of dropping an element of h before the recurrent product, at all steps alike.",
      valueName: "probability"))
  var recurrentDropout: Double?

  @Option(
    help: ArgumentHelp(
      "The probability with which a unit keeps its state for a step: of h and c alike, or of each.",
      valueName: "h[,c]"))
  var zoneout: Zoneout?

  @Option(
    help: ArgumentHelp(
      "The probability of dropping a recurrent weight for a training step.",
      valueName: "probability"))
  var dropConnect: Double?

  @Option(
    help: ArgumentHelp(
      "What the bias of the LSTM's forget gate begins as; above 0 the cell remembers at first. "
        + "PyTorch draws it like all others, from ±1/√H.",
      valueName: "number"))
  var forgetBias: Double?

  func validate() throws {
    if noBias, let bias, bias != .none {
      throw ValidationError("--no-bias and --bias \(bias.rawValue) contradict each other")
    }
    let sources = forgetGateSources
    if sources.count > 1 {
      throw ValidationError(
        "the forget gate can come from one source only, but "
          + sources.map(\.option).joined(separator: " and ") + " were given")
    }
    if let forgetBias, let source = sources.first {
      let kept = decimal(1 / (1 + exp(-forgetBias)), digits: 4)
      throw ValidationError(
        "--forget-bias \(forgetBias) is for a forget gate with weights of its own, but "
          + "\(source.option) gives it none; use --forget-decay \(kept) instead, which keeps as much of "
          + "the cell state as that bias does at first, or leave out \(source.option)")
    }
  }

  /// Whether none of the words was given.
  var isEmpty: Bool {
    activation.isEmpty && !peepholes && bias == nil && !noBias && recurrence == nil
      && forgetGateSources.isEmpty && override.isEmpty && cellClip == nil && gruReset == nil
      && projectionSize == nil && !layerNorm && recurrentDropout == nil && zoneout == nil
      && dropConnect == nil && forgetBias == nil
  }

  /// Where the forget gate comes from, if anything was said about it.
  var forgetGate: ForgetGate? { forgetGateSources.first?.gate }

  private var forgetGateSources: [(option: String, gate: ForgetGate)] {
    var result: [(option: String, gate: ForgetGate)] = []
    if let tie { result.append(("--tie \(tie.rawValue)", tie.forgetGate)) }
    if coupleInputForget { result.append(("--couple-input-forget", .coupled)) }
    if let forgetDecay { result.append(("--forget-decay \(forgetDecay)", .constant(forgetDecay))) }
    return result
  }

  /// Puts what was given in its place.
  func apply(to options: inout CellOptions, cell: Cell) throws {
    var activations: Set<String> = []
    for activation in activation {
      let names = cell.activationNames
      guard let word = activation.gate ?? (names.count == 1 ? names[0] : nil) else {
        throw CarouselError(
          .usage,
          "--activation \(activation.text) does not say for which gate of the \(cell.rawValue) cell, "
            + "expected "
            + names.map { "\($0)=\(activation.text)" }
            .joined(separator: " or "))
      }
      let gate = try cell.activation(named: word)
      guard activations.insert(gate).inserted else {
        throw CarouselError(.usage, "--activation is given more than once for \(gate)")
      }
      options.activations[gate] = activation.activation
    }
    try options.overrides.merge(override.values(for: cell)) { $1 }
    if let forgetGate { options.forgetGate = forgetGate }
    if peepholes { options.peepholes = true }
    if let bias { options.bias = bias }
    if noBias { options.bias = .none }
    if let recurrence { options.recurrence = recurrence }
    if let cellClip { options.cellClip = cellClip }
    if let gruReset { options.gruReset = gruReset }
    if let projectionSize { options.projectionSize = projectionSize }
    if layerNorm { options.layerNorm = true }
    if let recurrentDropout {
      options.recurrentDropout = recurrentDropout
    } else if !cell.has(.recurrentDropout) {
      // A task's default is for the cells that have it.
      options.recurrentDropout = 0
    }
    if let zoneout {
      options.zoneoutHidden = zoneout.hidden
      options.zoneoutCell = zoneout.cell ?? (cell.has(.zoneoutCell) ? zoneout.hidden : 0)
    }
    if let dropConnect { options.dropConnect = dropConnect }
    if let forgetBias {
      options.forgetBias = forgetBias
    } else if !options.hasForgetBias(in: cell) {
      options.forgetBias = nil
    }
  }

  /// The words that mean something to one of several cells, without those that only others have.
  func relevant(to cell: Cell, among cells: [Cell]) -> GateOptions {
    var result = self
    result.activation.removeAll { activation in
      activation.gate.map { cell.activationName($0) == nil } ?? (cell.activationNames.count != 1)
    }
    result.override.removeAll { (try? cell.overridableGate($0.gate)) == nil }
    for option in CellOption.allCases
    where !cell.has(option) && cells.contains(where: { $0.has(option) }) {
      result.remove(option)
    }
    return result
  }

  /// Takes back the words of one option.
  private mutating func remove(_ option: CellOption) {
    switch option {
    case .peepholes: peepholes = false
    case .forgetGate: (tie, coupleInputForget, forgetDecay) = (nil, false, nil)
    case .forgetBias: forgetBias = nil
    case .cellClip: cellClip = nil
    case .projectionSize: projectionSize = nil
    case .layerNorm: layerNorm = false
    case .recurrentDropout: recurrentDropout = nil
    case .zoneoutHidden: zoneout = nil
    case .zoneoutCell: zoneout?.cell = nil
    case .dropConnect: dropConnect = nil
    case .recurrence: recurrence = nil
    case .gruReset: gruReset = nil
    }
  }
}

extension BiasMode: ExpressibleByArgument {}
extension Recurrence: ExpressibleByArgument {}
extension GRUReset: ExpressibleByArgument {}
