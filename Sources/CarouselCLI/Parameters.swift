import ArgumentParser
import Carousel

/// `carousel parameters`: how many there are, and how often unrolling uses them.
struct Parameters: SideBySideCommand {
  static let configuration = CommandConfiguration(
    abstract: "Counts the parameters, tensor by tensor, shared and unrolled.",
    discussion: """
      Without --output-size and --vocabulary-size only the recurrent layers are counted. Each of \
      --sequence-length steps uses every recurrent and output parameter once; an embedding is a table that a step \
      reads one row of, and is not among these uses. Memory is counted in Float32: what the \
      equations of the backward pass take from the recurrent layers' steps, and Adam's two moments. \
      \(ValueList.help)
      """)

  static let basics = [
    "cell", "input-size", "hidden-size", "layers", "sequence-length", "batch-size", "output-size",
    "vocabulary-size", "reductions", "measure", "json", "help-all",
  ]
  static let standard = RecurrentConfiguration(inputSize: 64, hiddenSize: 64)
  static var defaults: [String: String] {
    standard.helpDefaults(sequenceLength: 1, batchSize: 1)
  }

  @Argument(
    help:
      "A run's folder, a checkpoint, or a .safetensors, .pt or .onnx file; without it, what the options say."
  )
  var model: String?

  @OptionGroup var prefix: PrefixOptions

  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions

  @Option(help: ArgumentHelp("O, the units of a linear output layer.", valueName: "count"))
  var outputSize: Int?

  @Option(
    help: ArgumentHelp(
      "V, the tokens of an embedding whose width is the input size.", valueName: "count"))
  var vocabularySize: Int?

  @OptionGroup(title: "Layers") var work: WorkOptions

  @Flag(help: "Set the standard cell beside each way to make it smaller.")
  var reductions = false

  @Flag(help: "With --reductions, time a training pass of each on the device.")
  var measure = false

  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if measure, !reductions {
      throw ValidationError("--measure belongs to --reductions, which was not given")
    }
    if model == nil, prefix.prefix != nil {
      throw ValidationError("--prefix chooses a stack of a model's file, which was not given")
    }
    if model != nil, !recurrent.isEmpty || outputSize != nil || vocabularySize != nil {
      throw ValidationError(
        "a model says what its layers are; expected beside it only --prefix, --sequence-length, "
          + "--batch-size, --reductions, --measure and --json")
    }
  }

  func run() throws {
    let document = try document()
    try output.json ? Output.write(json: document) : Output.write(document.text)
  }

  static func run(_ commands: [Parameters], _ list: ValueList) throws {
    try list.refuse([("--reductions", commands[0].reductions)])
    let cells = commands.compactMap(\.recurrent.cell)
    let documents = try commands.map { try $0.document(among: cells) }
    try commands[0].output.json
      ? Output.write(json: list.document(documents))
      : Output.write(Document.text(documents, list))
  }

  private func document(among cells: [Cell] = []) throws -> Document {
    guard let model else {
      return try document(recurrent.configuration(among: cells, defaults: Self.standard))
    }
    return try document(of: RecurrentModel(contentsOf: model, prefix: prefix.prefix))
  }

  /// A model's layers with its embedding and its linear output, where the file has them.
  private func document(of model: RecurrentModel) throws -> Document {
    var whole = self
    whole.vocabularySize = try model.embedding()?.shape[0]
    whole.outputSize = model.heads.first { $0.name == "output" }?.outputSize
    return try whole.document(model.configuration)
  }

  private func document(_ configuration: RecurrentConfiguration) throws -> Document {
    let (sequenceLength, batchSize) = try work.sizes(sequenceLength: 1, batchSize: 1)
    let tensors = try descriptions(configuration)
    let total = tensors.reduce(0) { $0 + $1.shape.count }
    let used = tensors.filter { $0.name != "embedding.weight" }.reduce(0) { $0 + $1.shape.count }
    let (uses, overflow) = used.multipliedReportingOverflow(by: sequenceLength)
    guard !overflow, total < 1 << 56 else {
      throw CarouselError(
        .usage,
        "--sequence-length \(sequenceLength) times \(used) parameters is more than can be counted")
    }
    return Document(
      cell: configuration.cell, total: total,
      tensors: tensors.map {
        Row(name: $0.name, shape: $0.shape.dimensions, count: $0.shape.count)
      }, unrolled: Unrolled(steps: sequenceLength, weightUses: uses),
      memory: try memory(
        configuration, total: total, sequenceLength: sequenceLength, batchSize: batchSize),
      reductions: reductions ? try rows(of: configuration) : nil)
  }

  private func memory(
    _ configuration: RecurrentConfiguration, total: Int, sequenceLength: Int, batchSize: Int
  ) throws -> [ParameterMemory] {
    let values =
      Double(configuration.activationsPerStep) * Double(batchSize) * Double(sequenceLength) * 8
    guard values < 0x1p58 else {
      throw CarouselError(
        .usage,
        "the activations of \(sequenceLength) steps of \(batchSize) sequences are more than can be counted"
      )
    }
    return [1, 2, 4, 8].map {
      ParameterMemory(
        configuration, parameterCount: total, sequenceLength: $0 * sequenceLength,
        batchSize: batchSize)
    }
  }

  private func rows(of configuration: RecurrentConfiguration) throws -> [ReductionRow] {
    let all = ParameterReduction.all(of: configuration)
    let seconds = measure ? try seconds(of: all.map(\.configuration)) : nil
    return all.enumerated().map { index, reduction in
      ReductionRow(
        options: reduction.options, total: reduction.count,
        share: Double(reduction.count) / Double(all[0].count), medianSeconds: seconds?[index])
    }
  }

  /// The median times of a training pass, each of T steps of N sequences.
  private func seconds(of configurations: [RecurrentConfiguration]) throws -> [Double] {
    let (sequenceLength, batchSize) = try work.sizes(sequenceLength: 50, batchSize: 32)
    let backend: any Backend = try device.makeBackend()
    Output.note("timing training passes of \(sequenceLength) steps of \(batchSize) sequences")
    return try configurations.map { configuration in
      try configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
      let profile = try RecurrentProfile(
        configuration, sequenceLength: sequenceLength, batchSize: batchSize, training: true,
        iterations: 11,
        warmup: 2, seed: 1)
      return try profile.wallSeconds(on: backend).sorted()[5]
    }
  }

  private func descriptions(_ configuration: RecurrentConfiguration) throws
    -> [ParameterDescription]
  {
    let isWhole = outputSize != nil || vocabularySize != nil
    var result = configuration.parameterDescriptions
    if isWhole {
      for index in result.indices { result[index].name = "recurrent." + result[index].name }
    }
    if let vocabularySize {
      let size = try atLeastOne(vocabularySize, "--vocabulary-size")
      result.insert(
        ParameterDescription("embedding.weight", [size, configuration.inputSize], .normal(1)), at: 0
      )
    }
    if let outputSize {
      let size = try atLeastOne(outputSize, "--output-size")
      result.append(
        ParameterDescription("output.weight", [size, configuration.outputSize], .constant(0)))
      if configuration.options.bias != .none {
        result.append(ParameterDescription("output.bias", [size], .constant(0)))
      }
    }
    return result
  }
}

private struct Document: Encodable {
  let cell: Cell
  let total: Int
  let tensors: [Row]
  let unrolled: Unrolled
  let memory: [ParameterMemory]
  let reductions: [ReductionRow]?

  /// The tables, and what unrolling means in one line.
  var text: String {
    var counts = Table(["tensor", "shape", "parameters"])
    for tensor in tensors {
      counts.add([tensor.name, Shape(tensor.shape).description, "\(tensor.count)"])
    }
    for (part, count) in parts { counts.add([part, "", "\(count)"]) }
    counts.add(["total", "", "\(total)"])
    var bytes = Table(["sequence length", "batch", "weights", "activations", "optimizer"])
    for row in memory {
      bytes.add(
        ["\(row.sequenceLength)", "\(row.batchSize)"]
          + [row.weightBytes, row.activationBytes, row.optimizerBytes].map(byteText))
    }
    let uses = """
      unrolled over \(unrolled.steps) \(unrolled.steps == 1 ? "step" : "steps"): \
      \(unrolled.weightUses) weight uses; unrolling copies uses, not parameters
      """
    return [counts.text, uses, bytes.text, reductionText].compactMap(\.self)
      .joined(separator: "\n\n")
  }

  /// Several values of an option side by side.
  static func text(_ documents: [Document], _ list: ValueList) -> String {
    var table = Table([
      list.title, "parameters", "weight uses", "steps", "activations", "optimizer",
    ])
    for (value, document) in zip(list.values, documents) {
      let memory = document.memory[0]
      table.add([
        value, "\(document.total)", "\(document.unrolled.weightUses)",
        "\(document.unrolled.steps)", byteText(memory.activationBytes),
        byteText(memory.optimizerBytes),
      ])
    }
    return table.text
  }

  /// The sums of a network's parts, where there are several.
  private var parts: [(String, Int)] {
    let names = ["embedding", "recurrent", "output"].filter { part in
      tensors.contains { $0.name.hasPrefix(part + ".") }
    }
    return names.map { part in
      (
        "all of \(part)",
        tensors.filter { $0.name.hasPrefix(part + ".") }.reduce(0) { $0 + $1.count }
      )
    }
  }

  private var reductionText: String? {
    guard let reductions else { return nil }
    let isTimed = reductions[0].medianSeconds != nil
    var table = Table(
      ["recurrent layers", "parameters", "share %"] + (isTimed ? ["ms a training pass"] : []))
    for row in reductions {
      table.add(
        [
          row.options.isEmpty ? "standard" : row.options, "\(row.total)", decimal(row.share * 100),
        ] + (row.medianSeconds.map { [decimal($0 * 1e3, digits: 3)] } ?? []))
    }
    return table.text
  }
}

private struct Row: Encodable {
  let name: String
  let shape: [Int]
  let count: Int
}

private struct Unrolled: Encodable {
  let steps: Int, weightUses: Int
}

private struct ReductionRow: Encodable {
  let options: String
  let total: Int
  let share: Double
  let medianSeconds: Double?
}
