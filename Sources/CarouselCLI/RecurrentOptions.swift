import ArgumentParser
import Carousel
import Foundation

/// The words that describe recurrent layers, the same in every command.
///
/// Each is optional, so that a command can tell what was given and has its own defaults.
struct RecurrentOptions: ParsableArguments {
  @Option(help: "The cell.")
  var cell: Cell?

  @OptionGroup var stack: StackOptions

  /// Whether any of the words was given.
  var isEmpty: Bool { cell == nil && stack.isEmpty }

  /// What the options say of a file's layers that its tensors may not.
  var hints: RecurrentModel.Hints {
    RecurrentModel.Hints(
      cell: cell, hiddenSize: stack.hiddenSize, forgetGate: stack.gates.forgetGate ?? .own,
      merge: stack.merge ?? .concatenate)
  }

  /// `defaults` with what was given in its place, checked.
  func configuration(defaults: RecurrentConfiguration) throws -> RecurrentConfiguration {
    try configuration(among: [], defaults: defaults)
  }

  /// The same where the cell may be one of several to compare.
  func configuration(
    among cells: [Cell], defaults: RecurrentConfiguration
  ) throws -> RecurrentConfiguration {
    try stack.configuration(cell ?? defaults.cell, among: cells, defaults: defaults)
  }
}

/// The words that describe a stack of layers, whatever its cell.
struct StackOptions: ParsableArguments {
  @Option(help: ArgumentHelp("H, the units of a hidden state.", valueName: "count"))
  var hiddenSize: Int?

  @Option(help: ArgumentHelp("C, the features of an input.", valueName: "count"))
  var inputSize: Int?

  @Option(help: ArgumentHelp("L, the number of layers.", valueName: "count"))
  var layers: Int?

  @Option(help: "The direction through time.")
  var direction: Direction?

  @Flag(help: "The same as --direction bidirectional.")
  var bidirectional = false

  @Option(help: "How the outputs of two directions are merged.")
  var merge: Merge?

  @Option(
    help: ArgumentHelp(
      "The probability of dropping what one layer passes to the next.", valueName: "probability"))
  var dropout: Double?

  @OptionGroup var gates: GateOptions

  func validate() throws {
    if bidirectional, let direction, direction != .bidirectional {
      throw ValidationError(
        "--bidirectional and --direction \(direction.rawValue) contradict each other")
    }
  }

  /// Whether none of the words was given.
  var isEmpty: Bool {
    hiddenSize == nil && inputSize == nil && layers == nil && direction == nil && !bidirectional
      && merge == nil && dropout == nil && gates.isEmpty
  }

  /// `defaults` with a cell, which may be one of several to compare, and what was given in its place, checked.
  func configuration(
    _ cell: Cell, among cells: [Cell] = [], defaults: RecurrentConfiguration
  ) throws -> RecurrentConfiguration {
    var result = defaults
    result.cell = cell
    var stack = self
    if cells.count > 1 { stack.gates = try gates(for: cell, among: cells) }
    try stack.apply(to: &result)
    try result.validate()
    if let dropout, dropout > 0, result.layers == 1 {
      Output.note(
        "carousel: --dropout \(dropout) changes nothing with one layer, for it drops what one layer "
          + "passes to the next; --recurrent-dropout drops within a layer")
    }
    return result
  }

  /// Puts what was given in its place, in layers whose cell is settled.
  func apply(to configuration: inout RecurrentConfiguration) throws {
    if let hiddenSize { configuration.hiddenSize = hiddenSize }
    if let inputSize { configuration.inputSize = inputSize }
    if let layers { configuration.layers = layers }
    if let direction { configuration.direction = direction }
    if bidirectional { configuration.direction = .bidirectional }
    if let merge { configuration.merge = merge }
    if let dropout { configuration.dropout = dropout }
    try gates.apply(to: &configuration.options, cell: configuration.cell)
  }
}

extension StackOptions {
  /// The options that mean something to a cell; throws where one means nothing to any of the cells.
  private func gates(for cell: Cell, among cells: [Cell]) throws -> GateOptions {
    for override in gates.override
    where !cells.contains(where: { (try? $0.overridableGate(override.gate)) != nil }) {
      throw CarouselError(
        .usage,
        "none of the cells \(cells.map(\.rawValue).joined(separator: ", ")) has a gate "
          + "'\(override.gate)'"
          + suggestion(for: override.gate, among: cells.flatMap(\.gateNames)))
    }
    for activation in gates.activation {
      let gate = activation.gate ?? "hidden"
      guard !cells.contains(where: { $0.activationName(gate) != nil }) else { continue }
      throw CarouselError(
        .usage,
        "none of the cells \(cells.map(\.rawValue).joined(separator: ", ")) has an activation "
          + "'\(gate)'" + suggestion(for: gate, among: cells.flatMap(\.activationNames)))
    }
    return gates.relevant(to: cell, among: cells)
  }
}

extension RecurrentConfiguration {
  /// Throws where a pass and its reference would not fit this machine's memory.
  ///
  /// Inputs are drawn on the host, which cannot refuse an array as a device can. Counted are five
  /// times the parameters (drawn, held and their gradients, twice read) and the activations.
  func requireRoom(sequenceLength: Int, batchSize: Int) throws {
    let directions = Double(directions)
    let gateRows = Double(layer(0, isReverse: false).gateRows) * directions
    let parameters =
      gateRows
      * (Double(inputSize + hiddenSize) + Double(layers - 1) * Double(outputSize + hiddenSize))
    let perUnit = options.layerNorm ? 36.0 : 12.0
    let features =
      Double(2 * inputSize) + perUnit * directions * Double(hiddenSize) * Double(layers)
    let needed = 8 * (5 * parameters + Double(sequenceLength) * Double(batchSize) * features)
    let memory = Double(ProcessInfo.processInfo.physicalMemory)
    guard needed <= memory else {
      throw CarouselError(
        .noDevice,
        "\(summary) over \(sequenceLength) steps of \(batchSize) sequences needs more than "
          + "\(byteText(Int(needed))) of memory, but this machine has \(byteText(Int(memory)))")
    }
  }
}

extension Cell: ExpressibleByArgument {}
extension Direction: ExpressibleByArgument {}
extension Merge: ExpressibleByArgument {}
