import ArgumentParser
import Carousel

/// `carousel run`: one pass on given tensors.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Passes given tensors through a model once.",
    discussion: """
      MODEL is a safetensors file with the parameters of an RNN, GRU or LSTM under PyTorch's names; \
      layer options say what these do not tell, such as --activation relu. The inputs are \
      x [T, N, C] and, where wanted, lengths [N] (I64, 0 to T), h_0 and c_0 [L·D, N, H]; with \
      --gradients also grad_y [T, N, D·H], grad_h_n and grad_c_n, zeros where absent. The outputs \
      are y, h_n, c_n and with --gradients grad_x, grad_h_0, grad_c_0 and grad_NAME of each \
      parameter. Nothing is dropped.
      """)

  @Argument(help: "A .safetensors file with the parameters.")
  var model: String

  @Option(help: ArgumentHelp("A .safetensors file with the inputs.", valueName: "in"))
  var inputs: String

  @Option(help: ArgumentHelp("The .safetensors file to write.", valueName: "out"))
  var outputs: String

  @Flag(help: "Pass backward too.")
  var gradients = false

  @OptionGroup var device: DeviceOptions
  @OptionGroup var recurrent: RecurrentOptions

  func validate() throws {
    if let dropout = recurrent.stack.dropout {
      throw ValidationError("run drops nothing, but --dropout \(dropout) was given")
    }
  }

  func run() throws {
    let found = try RecurrentModel(contentsOf: model, hints: recurrent.hints)
    let model = try found.reading(as: recurrent.configuration(defaults: found.configuration))
    let file = try SafetensorsFile(contentsOf: inputs)
    let pass = try RecurrentPass(model, inputs: file, source: inputs, gradients: gradients)
    for name in pass.unusedNames(in: file) {
      Output.note("carousel: \(inputs): the tensor '\(name)' is not used")
    }
    let backend: any Backend = try device.makeBackend()
    try SafetensorsFile(pass.tensors(on: backend)).write(to: outputs)
  }
}
