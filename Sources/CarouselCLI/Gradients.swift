import ArgumentParser
import Carousel
import Foundation

/// `carousel gradients`: how the gradient travels back through time.
struct Gradients: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Measures the gradient of a loss at the last step with respect to every state before.",
    discussion: """
      The loss is a random projection of the last layer's hidden state after T steps, scaled so that \
      the norm of its gradient there is 1. Printed are the norms of the gradients with respect to \
      that layer's h and c after each step t, over all sequences, at initialisation or for a trained \
      MODEL; at initialisation an LSTM's forget gate has the bias \(CellOptions.customaryForgetBias), \
      unless --forget-bias says otherwise. With several cells, an option that only some of them have is theirs alone. For the RNN \
      the spectral radius of W_hh foretells whether the gradient vanishes or explodes.
      """)

  static let basics = [
    "cell", "hidden-size", "layers", "sequence-length", "override", "forget-bias", "plot", "seed",
    "device", "json", "help-all",
  ]
  static let standard = RecurrentConfiguration(
    inputSize: 64, hiddenSize: 64,
    options: CellOptions(forgetBias: CellOptions.customaryForgetBias))
  static let standardSequenceLength = 50, standardBatchSize = 8
  static var defaults: [String: String] {
    standard.helpDefaults(
      sequenceLength: standardSequenceLength, batchSize: standardBatchSize)
  }

  @Argument(
    help:
      "A run's folder, a checkpoint, or a .safetensors or .pt file; without it, at initialisation."
  )
  var model: String?

  @OptionGroup var prefix: PrefixOptions

  @Option(
    help: ArgumentHelp(
      "The cell, or several to compare: \(Cell.allValueStrings.joined(separator: ", ")).",
      valueName: "cell,…"))
  var cell: CellList?

  @OptionGroup(title: "Layers") var stack: StackOptions
  @OptionGroup(title: "Layers") var work: WorkOptions

  @Option(
    help: ArgumentHelp("Draw the norms over the steps as a picture.", valueName: "file.svg"))
  var plot: String?

  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if model == nil, prefix.prefix != nil {
      throw ValidationError("--prefix chooses a stack of a model's file, which was not given")
    }
    if model != nil, let cell, cell.values.count > 1 {
      throw ValidationError("a model has one cell, but --cell names \(cell.values.count)")
    }
    if let dropout = stack.dropout {
      throw ValidationError("gradients drops nothing, but --dropout \(dropout) was given")
    }
  }

  func run() throws {
    let flows = try flows()
    let backend = try device.makeBackend()
    let results = try flows.map { flow in
      let cell = flow.configuration.cell.rawValue
      Progress.show(Status("gradients of the \(cell)"))
      return try result(flow, on: backend)
    }
    if let plot {
      try GradientPlot(results.map(\.line)).write(to: plot)
    }
    if output.json {
      if results.count == 1 {
        try Output.write(json: results[0])
      } else {
        try Output.write(json: ["cells": results])
      }
    } else {
      try Output.write(Self.text(results))
    }
  }

  private func flows() throws -> [GradientFlow] {
    let (sequenceLength, batchSize) = try work.sizes(
      sequenceLength: Self.standardSequenceLength, batchSize: Self.standardBatchSize)
    if let model {
      let loaded = try load(model)
      try loaded.configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
      return [
        try GradientFlow(
          loaded, sequenceLength: sequenceLength, batchSize: batchSize, seed: seed.seed)
      ]
    }
    let cells = cell?.values ?? [Self.standard.cell]
    return try cells.map { cell in
      let configuration = try stack.configuration(cell, among: cells, defaults: Self.standard)
      try configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
      return try GradientFlow(
        configuration, sequenceLength: sequenceLength, batchSize: batchSize, seed: seed.seed)
    }
  }

  private func load(_ path: String) throws -> RecurrentModel {
    let hints = RecurrentModel.Hints(
      cell: cell?.values[0], hiddenSize: stack.hiddenSize,
      forgetGate: stack.gates.forgetGate ?? .own, merge: stack.merge ?? .concatenate)
    let found = try RecurrentModel(contentsOf: path, prefix: prefix.prefix, hints: hints)
    var configuration = found.configuration
    if let cell { configuration.cell = cell.values[0] }
    try stack.apply(to: &configuration)
    try configuration.validate()
    return try found.reading(as: configuration)
  }

  private func result(_ flow: GradientFlow, on backend: any Backend) throws -> FlowResult {
    FlowResult(
      cell: flow.configuration.cell, steps: flow.x.shape[0], device: backend.name,
      norms: try flow.norms(on: backend), spectralRadius: flow.spectralRadius)
  }

  private static func text(_ results: [FlowResult]) -> String {
    var table = Table(
      ["step"]
        + results.flatMap { result in
          ["\(result.cell.rawValue) |dL/dh|"]
            + (result.cell.traits.measuresMemory ? ["\(result.cell.rawValue) |dL/dc|"] : [])
        })
    for index in results[0].norms.indices {
      table.add(
        ["\(index + 1)"]
          + results.flatMap { result in
            [scientific(result.norms[index].hidden)]
              + (result.norms[index].cell.map { [scientific($0)] } ?? [])
          })
    }
    let radii = results.compactMap { result in
      result.spectralRadius.map {
        "spectral radius of the \(result.cell.rawValue)'s W_hh: \(decimal($0, digits: 4))"
      }
    }
    return ([table.text] + radii).joined(separator: "\n")
  }
}

/// What one cell's gradient did.
private struct FlowResult: Encodable {
  let cell: Cell
  let steps: Int
  let device: String
  let norms: [GradientNorm]
  let spectralRadius: Double?

  var line: GradientPlot.Line {
    GradientPlot.Line(name: cell.rawValue, norms: norms)
  }
}

/// `rnn,lstm,gru`: cells side by side.
struct CellList: ExpressibleByArgument {
  let values: [Cell]

  init?(argument: String) {
    let words = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = words.compactMap { Cell(rawValue: String($0)) }
    guard values.count == words.count, Set(values).count == values.count else { return nil }
  }
}
