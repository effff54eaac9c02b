import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// `run --stream`: a model with states, step by step.
@Suite struct RunStreamTests {
  private let folder: Folder

  /// An LSTM whose states are inputs and outputs, and six steps for it.
  init() throws {
    folder = try Folder()
    let layers = RecurrentConfiguration(cell: .lstm, inputSize: 3, hiddenSize: 4)
    try SafetensorsFile(Models.parameters(of: layers)).write(to: folder["m.safetensors"])
    let made = try Command([
      "convert", folder["m.safetensors"], folder["m.onnx"], "--states",
    ])
    #expect(made.status == 0, "\(made.errors)")
    let zeros = Tensor(zeros: [1, 1, 4])
    try SafetensorsFile([("x", x), ("h_0", zeros), ("c_0", zeros)])
      .write(to: folder["in.safetensors"])
  }

  private var x: Tensor { Models.tensor([6, 1, 3], 7) }

  private var states: String { "--state h_n=h_0 --state c_n=c_0" }

  /// The numbers of each line that the model answers to what `input` prints.
  private func answers(_ input: String, _ options: String) throws -> [[Double]] {
    let command = try Command(
      shell: input + " | $carousel run \(folder["m.onnx"]) --stream --device reference "
        + "\(states) " + options)
    #expect(command.status == 0, "\(command.errors)")
    return command.output.split(separator: "\n").map {
      $0.split(separator: ",").compactMap { Double($0) }
    }
  }

  private func expected() throws -> [Double] {
    let whole = try Command([
      "run", folder["m.onnx"], "--inputs", folder["in.safetensors"], "--outputs",
      folder["out.safetensors"], "--device", "reference",
    ])
    #expect(whole.status == 0, "\(whole.errors)")
    return try SafetensorsFile(contentsOf: folder["out.safetensors"]).tensorsByName["y"]?.values
      ?? []
  }

  @Test func stepsGiveWhatTheWholeSequenceGives() throws {
    let rows = (0..<6).map { step in
      (0..<3).map { "\(Float(x[3 * step + $0]))" }.joined(separator: " ")
    }
    try folder.create("rows", (rows.joined(separator: "\n") + "\n").utf8)
    let found = try answers("cat \(folder["rows"])", "")
    #expect(found.count == 6)
    let y = try expected()
    #expect(y.count == 24 && zip(found.joined(), y).allSatisfy { abs($0 - $1) < 1e-6 })

    // The same as samples, one of each piece from the piece before.
    var bytes: [UInt8] = []
    for value in x.values {
      withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { bytes += $0 }
    }
    try folder.create("samples", bytes)
    let samples = try answers("cat \(folder["samples"])", "--stream-format f32")
    #expect(samples.count == 6)
    #expect(zip(samples.joined(), found.joined()).allSatisfy { abs($0 - $1) < 1e-6 })
    let overlapping = try answers("cat \(folder["samples"])", "--stream-format f32 --context 1")
    #expect(overlapping.count == 9 && overlapping[0] != found[0])
  }

  @Test func whatDoesNotFitIsOneSentence() throws {
    for (input, options, status, word) in [
      ("echo 1 2", states, 65, "line 1: expected 3 finite numbers, found 2"),
      ("echo a b c", states, 65, "expected 3 finite numbers"),
      ("true", "", 64, "a stream feeds one real input"),
      ("true", "--state z=h_0", 64, "no output 'z'"),
      ("true", states + " --outputs o", 64, "--stream answers on standard output"),
      ("true", states + " --context 1", 64, "--context is for audio"),
    ] as [(String, String, Int32, String)] {
      let command = try Command(
        shell: input + " | $carousel run \(folder["m.onnx"]) --stream --device reference "
          + options)
      #expect(command.status == status && command.errors.contains(word), "\(command.errors)")
      #expect(command.output.isEmpty)
    }
    let plain = try Command(["run", folder["m.onnx"], "--state", "h_n=h_0"])
    #expect(plain.status == 64 && plain.isOneSentence, "\(plain.errors)")
  }
}
