import ArgumentParser
import Carousel

/// `carousel compare`: the same work on the device and on the reference.
struct Compare: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Does the same work, forward and backward, on the device and on the reference.",
    discussion: """
      Without sizes or layer options, every operation, cell and option once, and each cell in the form \
      of the kernels that the device does not use by itself; with --all, several times, over many \
      sizes. With sizes or layer options, this one case. --random draws cases of its own; case k of \
      seed S is the only case of seed S+k, and a case that fails is followed by the command that repeats it. \
      nrms is the root mean square error over the largest magnitude of the reference's tensor; its \
      bound is 80 roundings of Float32, or what such roundings make of the reference's own result times \
      4 where that is more. \
      With MODEL, any file that run takes, its operators (of a file of layers, the layers) are compared \
      one by one, each on what the reference gave it, and then the whole model. \
      The exit status is 1 where a tensor's nrms is not within its bound.
      """)

  static let basics = [
    "inputs", "cell", "hidden-size", "input-size", "layers", "sequence-length", "batch-size", "all",
    "random", "seed", "device", "json", "help-all",
  ]
  static let standard = RecurrentConfiguration(inputSize: 64, hiddenSize: 64)
  static let standardSequenceLength = 25, standardBatchSize = 8
  static var defaults: [String: String] {
    standard.helpDefaults(
      sequenceLength: standardSequenceLength, batchSize: standardBatchSize)
  }

  @Argument(
    help: "A .onnx model, a .safetensors or .pt file with parameters, or a run's folder.")
  var model: String?

  @OptionGroup var given: GraphInputOptions
  @OptionGroup var prefix: PrefixOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
  @OptionGroup(title: "Layers") var batch: BatchOptions
  @Flag(help: "Every option several times, over many sizes: minutes where nothing is compiled yet.")
  var all = false
  @Flag(help: "Every operation, or with --random every layer, at tiny sizes, for a simulator.")
  var tiny = false
  @Option(
    help: ArgumentHelp(
      "Draw this many random layers, sizes, options, lengths and states.", valueName: "count"))
  var random: Int?
  @Option(
    help: ArgumentHelp(
      "Multiply the inputs and states of this one case by a factor.", valueName: "factor"))
  var scale: Double?
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  private var isOneCase: Bool {
    !recurrent.isEmpty || !batch.isEmpty || scale != nil || model != nil
  }

  func validate() throws {
    let set = tiny ? "--tiny" : all ? "--all" : random == nil ? nil : "--random"
    if let set, isOneCase {
      throw ValidationError(
        "\(set) brings its own sizes, but a model, sizes or layer options are given too")
    }
    if model == nil, !given.isEmpty || prefix.prefix != nil {
      throw ValidationError(
        "--inputs, --shape, --value and --prefix are for a MODEL, but none was given")
    }
    if model != nil, scale != nil {
      throw ValidationError("--scale multiplies drawn layers' inputs, but a MODEL was given")
    }
    if all, tiny || random != nil {
      throw ValidationError("--all and \(tiny ? "--tiny" : "--random") cannot be given together")
    }
    if let scale, !(scale > 0 && scale <= 1e30) {
      throw ValidationError("--scale is a number above 0 and up to 1e30, but \(scale) was given")
    }
  }

  func run() throws {
    let cases = try cases()
    let backend = try device.makeBackend()
    let otherForm = otherForm(than: backend)
    let others = (otherForm == nil ? [] : ComparisonCases.otherForm).map {
      Work(work: $0, seed: seed.seed, form: otherForm)
    }
    if CompileAhead.isThis {
      if let otherForm { compile(others, on: try device.makeOpenCLBackend(kernels: otherForm)) }
      return compile(cases, on: backend)
    }
    var run = Run(count: cases.count + others.count, isQuiet: output.json)
    try run.compare(cases, on: backend)
    if let otherForm { try run.compare(others, on: device.makeOpenCLBackend(kernels: otherForm)) }
    try finish(run.results, on: backend)
  }

  /// Compares the cases from the last on, for what they compile; see `CompileAhead`.
  private func compile(_ cases: [Work], on backend: some Backend) {
    for work in cases.reversed() where CompileAhead.isAwaited {
      _ = try? work.work.compare(on: backend, seed: work.seed, bound: 1)
    }
  }

  /// The form of the kernels that is compared beside the one that the device uses by itself.
  private func otherForm(than backend: any Backend) -> KernelForm? {
    guard let backend = backend as? OpenCLBackend, device.kernels == .automatic, !isOneCase, !tiny,
      random == nil
    else { return nil }
    return backend.kernelForm == .cpu ? .gpu : .cpu
  }

  /// A case, the seed of its inputs, the form of the kernels where it is not the device's own, and the
  /// command that does the case alone where there is one.
  private struct Work {
    let work: any ComparisonCase
    let seed: UInt64
    var form: KernelForm?
    var command: String?
  }

  private func cases() throws -> [Work] {
    if let random {
      return (0..<(try atLeastOne(random, "--random"))).map { index in
        let seed = seed.seed &+ UInt64(index)
        return Work(
          work: ComparisonCases.random(seed: seed, tiny: tiny), seed: seed,
          command: "carousel compare --random 1 --seed \(seed)" + (tiny ? " --tiny" : "")
            + device.words)
      }
    }
    if let model { return try cases(ofModel: model).map { Work(work: $0, seed: seed.seed) } }
    let cases =
      isOneCase
      ? [try givenCase()]
      : tiny ? ComparisonCases.tiny : all ? ComparisonCases.all : ComparisonCases.standard
    return cases.map { Work(work: $0, seed: seed.seed) }
  }

  private func givenCase() throws -> any ComparisonCase {
    let configuration = try recurrent.configuration(defaults: Self.standard)
    let (sequenceLength, batchSize, lengths) = try batch.batch(
      sequenceLength: Self.standardSequenceLength, batchSize: Self.standardBatchSize)
    try configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    return RecurrentComparison(
      configuration, sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths,
      scale: scale ?? 1)
  }

  /// The cases that were compared, each printed as soon as it was.
  private struct Run {
    var results: [CaseResult] = []
    /// How many cases there will be.
    let count: Int
    let isQuiet: Bool
    /// Begins with the first case that had to compile.
    private var compileAhead: CompileAhead?

    init(count: Int, isQuiet: Bool) {
      (self.count, self.isQuiet) = (count, isQuiet)
    }

    mutating func compare<B: Backend>(_ cases: [Work], on backend: B) throws {
      let device = backend as? OpenCLBackend
      let precision = device?.precision ?? .float32
      for work in cases {
        let words = CaseResult.titleWords(work.work)
        let status = Status("case", results.count + 1, of: count, words: words)
        Progress.show(status)
        let result = CaseResult(
          work.work, form: work.form,
          tensors: try work.work.compare(
            on: backend, seed: work.seed, bound: precision.comparisonBound),
          command: work.command)
        if !isQuiet { try Output.write(result.text) }
        if let command = result.command { Output.note("repeat with: \(command)") }
        results.append(result)
        if let device, compileAhead == nil, results.count + 1 < count,
          DriverActivity.compiledPrograms > 0
        {
          compileAhead = CompileAhead(for: device)
        }
      }
    }
  }

  private func finish(_ results: [CaseResult], on backend: any Backend) throws {
    let failures = results.count { !$0.ok }
    if output.json {
      try Output.write(
        json: Document(device: backend.name, cases: results, ok: failures == 0))
    } else {
      try Output.write(
        "\(backend.name): \(results.count - failures) of \(results.count) cases agree")
    }
    if failures > 0 {
      throw CarouselError(
        .checkFailed,
        "\(failures) of \(results.count) cases on \(backend.name) do not agree with the reference")
    }
  }

  private struct Document: Encodable {
    let device: String
    let cases: [CaseResult]
    let ok: Bool
  }
}

/// One case as it is printed.
private struct CaseResult: Encodable {
  let operation: String
  let cell: Cell?
  let sizes: [String: Int]
  let options: [String: String]
  let tensors: [TensorResult]
  let ok: Bool
  let title: String
  /// What repeats the case, where it failed.
  let command: String?

  init(
    _ work: any ComparisonCase, form: KernelForm?, tensors: [TensorComparison], command: String?
  ) {
    operation = work.operation
    cell = work.cell
    sizes = Dictionary(uniqueKeysWithValues: work.sizes.map { ($0.key, $0.value) })
    let kernels: [CaseOption] = form.map { [("kernels", $0.rawValue)] } ?? []
    options = Dictionary(uniqueKeysWithValues: (work.options + kernels).map { ($0.key, $0.value) })
    self.tensors = tensors.map(TensorResult.init)
    ok = tensors.allSatisfy(\.ok)
    self.command = ok ? nil : command
    title = (Self.titleWords(work) + kernels.map { "\($0.key) \($0.value)" }).joined(
      separator: ", ")
  }

  /// What is compared: the cell, the operation, sizes and options.
  static func titleWords(_ work: any ComparisonCase) -> [String] {
    [work.cell?.rawValue, work.operation].compactMap { $0 }
      + work.sizes.map { "\($0.key) \($0.value)" }
      + work.options.map { "\($0.key) \($0.value)" }
  }

  var text: String {
    var table = Table(["  tensor", "max |a-r|", "nrms", "bound", ""])
    for tensor in tensors {
      table.add([
        "  " + tensor.name, scientific(tensor.maxAbsolute), scientific(tensor.nrms),
        scientific(tensor.bound), tensor.ok ? "ok" : "FAILED",
      ])
    }
    return title + "\n" + table.text
  }

  private enum CodingKeys: CodingKey {
    case operation, cell, sizes, options, tensors, ok, command
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(operation, forKey: .operation)
    try container.encode(cell, forKey: .cell)
    try container.encode(sizes, forKey: .sizes)
    try container.encode(options, forKey: .options)
    try container.encode(tensors, forKey: .tensors)
    try container.encode(ok, forKey: .ok)
    try container.encodeIfPresent(command, forKey: .command)
  }
}

private struct TensorResult: Encodable {
  let name: String
  let maxAbsolute: Double, nrms: Double, bound: Double
  let ok: Bool

  init(_ comparison: TensorComparison) {
    name = comparison.name
    maxAbsolute = comparison.maxAbsolute
    nrms = comparison.nrms
    bound = comparison.bound
    ok = comparison.ok
  }
}

extension Compare {
  /// T and N of a model's inputs where nothing else says them.
  static let modelSequenceLength = 25, modelBatchSize = 1

  /// The cases of a model of a file: its operators or layers one by one, then all of it.
  func cases(ofModel path: String) throws -> [any ComparisonCase] {
    Progress.show(Status("reading"))
    let file = try given.inputs.map { path throws(CarouselError) in try TensorFile(path) }
    guard let path = ONNXModel.path(at: path) else {
      return try cases(ofLayers: path, inputs: file)
    }
    guard recurrent.isEmpty, prefix.prefix == nil, batch.lengths == nil else {
      throw CarouselError(
        .usage,
        "\(path): an ONNX model says all of itself, but layer options, --lengths or --prefix were given"
      )
    }
    let (model, inputs) = try given.model(
      at: path, file: file, work: batch.work, seed: seed.seed)
    Progress.show(Status("computing the reference"))
    let cases = try ModelComparison.all(of: model, inputs: inputs)
    let left = model.graph.nodes.count - (cases.count - 1)
    if left > 0 {
      Output.note(
        "carousel: \(left) of \(model.graph.nodes.count) operators are known when the shapes are, and "
          + "are computed by neither")
    }
    return cases
  }

  /// The layers of a safetensors or PyTorch file, or a run's folder.
  private func cases(
    ofLayers path: String, inputs file: TensorFile?
  ) throws -> [any ComparisonCase] {
    guard given.shape.isEmpty, given.value.isEmpty else {
      throw CarouselError(
        .usage, "\(path): --shape and --value are for ONNX models, whose inputs have names")
    }
    let found = try RecurrentModel(
      contentsOf: path, prefix: prefix.prefix, hints: recurrent.hints)
    let model = try found.reading(as: recurrent.configuration(defaults: found.configuration))
    let heads = model.likelyHeads
    if let head = heads.first {
      Output.note(
        heads.count == 1
          ? "carousel: \(path): the linear layer '\(head.name)' is compared behind the layers"
          : "carousel: \(path): of \(heads.count) linear layers none is compared")
    }
    let (sequenceLength, batchSize, lengths) = try batch.batch(
      sequenceLength: Self.modelSequenceLength, batchSize: Self.modelBatchSize)
    try model.configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    Output.note(
      "carousel: \(path): \(model.configuration.summary), "
        + (file.map { "inputs from \($0.path)" }
          ?? "T \(sequenceLength), N \(batchSize), inputs drawn with the seed \(seed.seed)"))
    return try RecurrentModelComparison.all(
      of: model, head: heads.count == 1 ? heads.first : nil, inputs: file,
      sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths, seed: seed.seed)
  }
}
