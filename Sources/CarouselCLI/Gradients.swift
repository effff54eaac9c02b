import ArgumentParser
import Carousel
import Foundation

/// `carousel gradients`: how the gradient travels back through time.
struct Gradients: SideBySideCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Measures the gradient of a loss at the last step with respect to every state before.",
    discussion: """
      The loss is a random projection of the last layer's hidden state after T steps, scaled so that \
      the norm of its gradient there is 1. Printed are the norms of the gradients with respect to \
      that layer's h and c after each step t, over all sequences, at initialisation or for a trained \
      MODEL; at initialisation an LSTM's forget gate has the bias \(CellOptions.customaryForgetBias), \
      unless --forget-bias says otherwise. A layer that reads backward ends at step 1, and a bidirectional \
      one is followed in each direction. For the RNN the spectral radius of W_hh foretells whether the \
      gradient vanishes or explodes. \(ValueList.help) With several cells, an option that only some of them \
      have is theirs alone.
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
      "A run's folder, a checkpoint, or a .safetensors, .pt or .onnx file; without it, at initialisation."
  )
  var model: String?

  @OptionGroup var prefix: PrefixOptions

  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
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
    if let dropout = recurrent.stack.dropout {
      throw ValidationError("gradients drops nothing, but --dropout \(dropout) was given")
    }
  }

  func run() throws {
    let result = try result(flow(), on: device.makeBackend())
    let name = result.cell.rawValue
    if let plot { try GradientPlot(result.lines(name)).write(to: plot) }
    try output.json
      ? Output.write(json: result) : Output.write(Self.text([(name: name, result: result)]))
  }

  static func run(_ commands: [Gradients], _ list: ValueList) throws {
    let first = commands[0]
    if list.option == "cell", first.model != nil {
      throw CarouselError(.usage, "a model has one cell, but --cell names \(list.values.count)")
    }
    let cells = commands.compactMap(\.recurrent.cell)
    let flows = try commands.map { try $0.flow(among: cells) }
    let backends = try list.backends(commands.map(\.device)) { try $0.makeBackend() }
    let results = try commands.indices.map { index in
      Progress.show(Status("gradients of \(list.name(index))"))
      let result = try commands[index].result(flows[index], on: backends[index])
      return (name: list.name(index), result: result)
    }
    if let plot = first.plot {
      try GradientPlot(results.flatMap { $0.result.lines($0.name) }).write(to: plot)
    }
    try first.output.json
      ? Output.write(json: list.document(results.map(\.result))) : Output.write(text(results))
  }

  private func flow(among cells: [Cell] = []) throws -> GradientFlow {
    let (sequenceLength, batchSize) = try work.sizes(
      sequenceLength: Self.standardSequenceLength, batchSize: Self.standardBatchSize)
    if let model {
      let loaded = try load(model)
      try loaded.configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
      return try GradientFlow(
        loaded, sequenceLength: sequenceLength, batchSize: batchSize, seed: seed.seed)
    }
    let configuration = try recurrent.configuration(among: cells, defaults: Self.standard)
    try configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    return try GradientFlow(
      configuration, sequenceLength: sequenceLength, batchSize: batchSize, seed: seed.seed)
  }

  private func load(_ path: String) throws -> RecurrentModel {
    let found = try RecurrentModel(
      contentsOf: path, prefix: prefix.prefix, hints: recurrent.hints)
    var configuration = found.configuration
    if let cell = recurrent.cell { configuration.cell = cell }
    try recurrent.stack.apply(to: &configuration)
    try configuration.validate()
    return try found.reading(as: configuration)
  }

  private func result(_ flow: GradientFlow, on backend: any Backend) throws -> FlowResult {
    let directions = try flow.directions.map { direction in
      FlowResult.Direction(
        norms: try flow.norms(on: backend, direction: direction),
        spectralRadius: flow.spectralRadius(of: direction))
    }
    return FlowResult(
      cell: flow.configuration.cell, steps: flow.x.shape[0], device: backend.name,
      norms: directions[0].norms, spectralRadius: directions[0].spectralRadius,
      reverse: directions.count > 1 ? directions[1] : nil)
  }

  /// The norms of all results side by side; a shorter sequence has none past its end.
  private static func text(_ results: [(name: String, result: FlowResult)]) -> String {
    let lines = results.flatMap { $0.result.lines($0.name) }
    var table = Table(
      ["step"]
        + lines.flatMap { line in
          ["\(line.name) |dL/dh|"]
            + (line.norms.first?.cell == nil ? [] : ["\(line.name) |dL/dc|"])
        })
    for index in 0..<(lines.map(\.norms.count).max() ?? 0) {
      table.add(
        ["\(index + 1)"]
          + lines.flatMap { line in
            let hasCell = line.norms.first?.cell != nil
            guard index < line.norms.count else { return hasCell ? ["", ""] : [""] }
            return [scientific(line.norms[index].hidden)]
              + (line.norms[index].cell.map { [scientific($0)] } ?? [])
          })
    }
    let radii = results.flatMap { name, result in
      zip(result.lines(name), [result.spectralRadius, result.reverse?.spectralRadius]).compactMap {
        line, radius in
        radius.map { "spectral radius of the W_hh of \(line.name): \(decimal($0, digits: 4))" }
      }
    }
    return ([table.text] + radii).joined(separator: "\n")
  }
}

/// What the gradient of one network did.
private struct FlowResult: Encodable {
  /// One direction of a bidirectional layer.
  struct Direction: Encodable {
    let norms: [GradientNorm]
    let spectralRadius: Double?
  }

  let cell: Cell
  let steps: Int
  let device: String
  let norms: [GradientNorm]
  let spectralRadius: Double?
  /// The other direction of a bidirectional layer, whose loss is at step 1.
  let reverse: Direction?

  /// The curves, one for each direction.
  func lines(_ name: String) -> [GradientPlot.Line] {
    guard let reverse else { return [GradientPlot.Line(name: name, norms: norms)] }
    return [
      GradientPlot.Line(name: name + " forward", norms: norms),
      GradientPlot.Line(name: name + " reverse", norms: reverse.norms),
    ]
  }
}
