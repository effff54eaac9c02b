import ArgumentParser
import Carousel

/// `carousel convert`: the same tensors in another format.
struct Convert: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Converts between the file formats.",
    discussion: """
      IN is a safetensors, PyTorch (.pt, tensors only: nothing in it is executed), NumPy (.npy, \
      .npz) or ONNX file, or a run's folder. The ending of OUT says what is written. To \
      .safetensors, .npz and .npy tensors are converted: names, types and bits stay, but NumPy has \
      no BFloat16, which becomes Float32; of an ONNX model its initializers are converted. To .onnx \
      the recurrent layers of IN are written as a model that takes x [T, N, C], or of a text's \
      network tokens [T, N], and gives y and the last states h_n, c_n and so on, T and N being open; \
      layer options say what the tensors do not tell.
      """)

  static let basics = ["head", "prefix", "states", "json", "help-all"]

  @Argument(help: "The file to read, or a run's folder.")
  var `in`: String

  @Argument(help: "The file to write.")
  var out: String

  @Option(
    help: ArgumentHelp(
      "Write this linear layer of IN behind the layers (.onnx).", valueName: "name"))
  var head: String?

  @Flag(help: "Let the initial states h_0, c_0 and so on be inputs (.onnx).")
  var states = false

  @OptionGroup var prefix: PrefixOptions
  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    Progress.show(Status("converting"))
    let isModel = out.lowercased().hasSuffix(".onnx")
    if !isModel, head != nil || states || prefix.prefix != nil || !recurrent.isEmpty {
      throw CarouselError(
        .usage, "layer options, --head, --prefix and --states belong to an OUT that ends with .onnx"
      )
    }
    let report =
      isModel
      ? try Conversion.writeModel(
        from: `in`, to: out,
        options: .init(prefix: prefix.prefix, head: head, withStates: states),
        hints: recurrent.hints, resolve: recurrent.configuration(defaults:))
      : try Conversion(from: `in`, to: out).write()
    for note in report.notes { Output.note("carousel: \(note)") }
    if output.json { try Output.write(json: report) }
  }
}
