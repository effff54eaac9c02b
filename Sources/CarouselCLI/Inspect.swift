import ArgumentParser
import Carousel

/// `carousel inspect`: what a file holds.
struct Inspect: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists what a model or tensor file holds.",
    discussion: """
      FILE is a safetensors, PyTorch (.pt), NumPy (.npy, .npz) or ONNX file, or a run's folder. \
      Names, shapes and types are read, and none of the numbers. Of an ONNX model its inputs, \
      outputs and operators are listed too.
      """)

  @Argument(help: "The file, or a run's folder.")
  var file: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    let found = try FileInspection(RunFolder.model(at: file))
    if output.json {
      try Output.write(json: found)
    } else {
      try Output.write(text(of: found))
    }
  }

  private func text(of found: FileInspection) -> String {
    var parts = ["format: \(found.format)"]
    if !found.metadata.isEmpty {
      parts.append(
        found.metadata.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
          .joined(separator: "\n"))
    }
    for (title, rows) in [
      ("input", found.inputs), ("output", found.outputs), ("tensor", found.tensors),
    ] where !rows.isEmpty {
      var table = Table([title, "shape", "type"])
      for row in rows {
        let shape = row.shape.map { "[" + $0.map(\.description).joined(separator: ", ") + "]" }
        table.add([row.name, shape ?? "?", row.type])
      }
      parts.append(table.text)
    }
    if !found.operators.isEmpty {
      var table = Table(["operator", "nodes"])
      for (name, count) in found.operators.sorted(by: { $0.key < $1.key }) {
        table.add([name, "\(count)"])
      }
      parts.append(table.text)
    }
    return parts.joined(separator: "\n\n")
  }
}
