import ArgumentParser
import Carousel

/// `carousel run`: one pass on given tensors.
struct Run: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Passes given tensors through a model once.",
    discussion: """
      MODEL is a safetensors or PyTorch file (.pt, tensors only: nothing in it is executed) with \
      the parameters of an RNN, GRU or LSTM under PyTorch's names, or a run's folder; layer \
      options say what these do not tell, such as --activation relu. The inputs are x [T, N, C] \
      and, where wanted, lengths [N] (I64, 0 to T), h_0 and c_0 [L·D, N, H]; with --gradients \
      also grad_y [T, N, D·H], grad_h_n and grad_c_n, zeros where absent. The outputs are y, \
      h_n, c_n and with --gradients grad_x, grad_h_0, grad_c_0 and grad_NAME of each parameter. \
      With --head the linear layer makes y [T, N, O] of the layers' outputs, and grad_y is of \
      that shape. Nothing is dropped. \
      MODEL may be an ONNX file too: inputs and outputs then have the model's own names and \
      shapes, and with --gradients grad_NAME of outputs make grad_NAME of inputs and parameters. \
      --stream feeds an ONNX model from standard input piece by piece. \
      What was read, and which tensors of the files were not, is \
      printed on standard error.
      """)

  static let basics = [
    "inputs", "outputs", "gradients", "batch-first", "prefix", "head", "cell", "activation",
    "direction", "device", "json", "help-all",
  ]
  static let defaults = DeviceOptions.helpDefaults

  @Argument(help: "A .onnx model, a .safetensors or .pt file with parameters, or a run's folder.")
  var model: String

  @Option(
    help: ArgumentHelp("A .safetensors, .npz, .npy or .pt file with the inputs.", valueName: "in"))
  var inputs: String?

  @Option(help: ArgumentHelp("The .safetensors, .npz or .npy file to write.", valueName: "out"))
  var outputs: String?

  @Flag(help: "Pass backward too.")
  var gradients = false

  @Flag(help: "Take x and grad_y, and give y and grad_x, as [N, T, …].")
  var batchFirst = false

  @OptionGroup var stream: StreamOptions

  @Option(
    help: ArgumentHelp(
      "With --stream, the shape of an input, such as x=1,576 (repeatable).",
      valueName: "name=size,…"))
  var shape: [NamedSizes] = []

  @Option(
    help: ArgumentHelp(
      "With --stream, the value of all elements of an input, such as sr=16000 (repeatable).",
      valueName: "name=number"))
  var value: [NamedNumber] = []

  @OptionGroup var prefix: PrefixOptions

  @Option(
    help: ArgumentHelp(
      "Apply this linear layer of the file to the layers' outputs.", valueName: "name"))
  var head: String?

  @OptionGroup var device: DeviceOptions
  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard stream.stream else {
      guard inputs != nil, outputs != nil else {
        throw ValidationError(
          "expected --inputs IN and --outputs OUT, or --stream with an ONNX model")
      }
      guard stream.isEmpty, shape.isEmpty, value.isEmpty else {
        throw ValidationError(
          "--state, --stream-format, --context, --shape and --value belong to --stream, which was not given"
        )
      }
      return try validateDropout()
    }
    guard outputs == nil, !gradients else {
      throw ValidationError(
        "--stream answers on standard output, forward alone, but --outputs or --gradients was given"
      )
    }
    if stream.streamFormat == .rows, stream.context != 0 {
      throw ValidationError("--context is for audio, but --stream-format is rows")
    }
  }

  private func validateDropout() throws {
    if let dropout = recurrent.stack.dropout {
      throw ValidationError("run drops nothing, but --dropout \(dropout) was given")
    }
  }

  func run() throws {
    Progress.show(Status("reading"))
    let onnx = ONNXModel.path(at: model)
    if stream.stream {
      guard let onnx else {
        throw CarouselError(
          .usage,
          "\(model): expected an ONNX model for --stream; 'carousel predict --stream' goes on with a run"
        )
      }
      return try runStream(onnx)
    }
    guard let inputs, let outputs else { return }
    if let onnx { return try runONNX(onnx, inputs: inputs, outputs: outputs) }
    let found = try RecurrentModel(
      contentsOf: model, prefix: prefix.prefix, hints: recurrent.hints)
    let model = try found.reading(as: recurrent.configuration(defaults: found.configuration))
    let head = try head.map { name throws(CarouselError) in try model.head(name) }
    let file = try TensorFile(inputs)
    let (sequenceLength, batchSize) = try RecurrentPass.sizes(
      of: file, for: model.configuration, isBatchFirst: batchFirst)
    try model.configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    let pass = try RecurrentPass(
      model, inputs: file, head: head, isBatchFirst: batchFirst, gradients: gradients)
    try AtomicFile.requireWritable(outputs)
    let backend: any Backend = try device.makeBackend()
    var report = RunReport(
      model, head: head, inputs: file, pass: pass, isBatchFirst: batchFirst, device: backend.name)
    for note in report.notes { Output.note("carousel: \(note)") }
    Progress.show(Status("computing"))
    var tensors = try pass.tensors(on: backend)
    if batchFirst {
      for (index, (name, tensor)) in tensors.enumerated() where ["y", "grad_x"].contains(name) {
        tensors[index].tensor = tensor.withOuterDimensionsSwapped
      }
    }
    Progress.show(Status("writing \(outputs)"))
    try SafetensorsFile(tensors).write(inFormatOf: outputs)
    for warning in report.add(tensors, path: outputs) { Output.note("carousel: \(warning)") }
    if output.json { try Output.write(json: report) }
  }
}

extension Run {
  /// One pass of a model from an ONNX file.
  func runONNX(_ path: String, inputs: String, outputs: String) throws {
    guard recurrent.isEmpty, !batchFirst, prefix.prefix == nil, head == nil else {
      throw CarouselError(
        .usage,
        "\(path): an ONNX model says all of itself, but layer options, --batch-first, --prefix or "
          + "--head were given")
    }
    let file = try TensorFile(inputs)
    let model = try ONNXModel(contentsOf: path, inputs: file)
    let pass = try ONNXPass(model, inputs: file, gradients: gradients)
    try AtomicFile.requireWritable(outputs)
    let backend: any Backend = try device.makeBackend()
    Output.note("carousel: \(path): \(model.summary)")
    for (name, tensor) in pass.inputs.sorted(by: { $0.key < $1.key }) {
      Output.note("carousel: \(inputs): \(name) \(tensor.shape) \(tensor.type.rawValue)")
    }
    if !pass.unusedNames.isEmpty {
      let names = pass.unusedNames.map { "'\($0)'" }.joined(separator: ", ")
      Output.note("carousel: \(inputs): not used: \(names)")
    }
    Progress.show(Status("computing"))
    let tensors = try pass.tensors(on: backend)
    Progress.show(Status("writing \(outputs)"))
    try SafetensorsFile(
      tensors.map { ($0.name, $0.tensor.tensor) },
      elementTypes: Dictionary(
        uniqueKeysWithValues: tensors.map { ($0.name, $0.tensor.type.elementType) })
    ).write(inFormatOf: outputs)
    let report = ONNXRunReport(
      model: model.source, device: backend.name, gradients: gradients,
      inputs: pass.inputs.map { .init($0.key, $0.value) }.sorted { $0.name < $1.name },
      outputs: tensors.map { .init($0.name, $0.tensor) }, unused: pass.unusedNames,
      nonFinite: tensors.filter { tensor in
        !tensor.tensor.values.allSatisfy { Float($0).isFinite }
      }.map(\.name))
    for name in report.nonFinite {
      Output.note(
        "carousel: warning: \(outputs): the tensor '\(name)' holds values that are not finite in Float32"
      )
    }
    if output.json { try Output.write(json: report) }
  }
}

/// What `carousel run` read of an ONNX model, and wrote.
private struct ONNXRunReport: Encodable {
  let model: String, device: String
  let gradients: Bool
  let inputs: [Row], outputs: [Row]
  let unused: [String], nonFinite: [String]

  struct Row: Encodable {
    let name: String
    let shape: [Int]
    let type: String

    init(_ name: String, _ tensor: GraphTensor) {
      (self.name, shape, type) = (name, tensor.shape.dimensions, tensor.type.rawValue)
    }
  }
}
