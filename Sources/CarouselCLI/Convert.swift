import ArgumentParser
import Carousel

/// `carousel convert`: the same tensors in another format.
struct Convert: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Converts between the file formats.",
    discussion: """
      IN is a safetensors, PyTorch (.pt, tensors only: nothing in it is executed), NumPy (.npy, \
      .npz) or ONNX file, or a run's folder. The ending of OUT says what is written: .safetensors, \
      .npz or .npy. Names, types and bits stay; NumPy has no BFloat16, which becomes Float32. Of an \
      ONNX model its initializers are converted.
      """)

  @Argument(help: "The file to read, or a run's folder.")
  var `in`: String

  @Argument(help: "The file to write.")
  var out: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    Progress.show(Status("reading"))
    let result = try Conversion(from: `in`, to: out)
    let report = try result.write()
    for note in report.notes { Output.note("carousel: \(note)") }
    if output.json { try Output.write(json: report) }
  }
}
