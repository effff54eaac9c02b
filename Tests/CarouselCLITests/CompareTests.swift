import Carousel
import Foundation
import Testing

@Suite struct CompareTests {
  private func check(_ command: Command) throws {
    #expect(command.status == 0)
    #expect(command.sentences.isEmpty, "\(command.errors)")
    #expect(try command.json["ok"] as? Bool == true)
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    #expect(cases.contains { $0["cell"] as? String == "lstm" })
    #expect(cases.contains { $0["cell"] is NSNull })
    for work in cases {
      #expect(work["ok"] as? Bool == true)
      #expect((work["sizes"] as? [String: Int])?.isEmpty == false)
      #expect(work["options"] is [String: String])
      let tensors = try #require(work["tensors"] as? [[String: Any]])
      #expect(!tensors.isEmpty)
      for tensor in tensors {
        #expect(tensor["name"] is String)
        #expect(tensor["maxAbsolute"] is Double)
        let nrms = try #require(tensor["nrms"] as? Double)
        let bound = try #require(tensor["bound"] as? Double)
        #expect(nrms <= bound)
        // h does not depend on the stabiliser of an sLSTM, whose gradient may be what is left of terms that
        // cancel: no digits of it are right in Float32, nor in PyTorch.
        if tensor["name"] as? String != "grad_m_0" { #expect(bound == 80 * 0x1p-23) }
        #expect(tensor["ok"] as? Bool == true)
      }
    }
  }

  /// Runs a line of shell in a folder of its own, with caches that are empty and there.
  private func cold(_ line: String) throws -> Command {
    let folder = try Folder()
    return try Command(
      shell: "cd \(folder["."]); export POCL_CACHE_DIR=$PWD/pocl CAROUSEL_CACHE=$PWD/kept; " + line)
  }

  /// It says nothing, leaves nothing to compile for the first, and does no case where the first has gone.
  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func aSecondProcessCompilesForTheFirst() throws {
    let compare = "$carousel compare --cell rnn --hidden-size 3"
    let command = try cold(
      """
      mkfifo life; exec 3<>life
      count() { ls kept | wc -l; }
      CAROUSEL_COMPILE_AHEAD=1 \(compare) </dev/null; count
      CAROUSEL_COMPILE_AHEAD=1 \(compare) <&3; count
      \(compare) >/dev/null; count
      """)
    let counts = command.output.split(separator: "\n").compactMap { Int($0) }
    try #require(command.output.split(separator: "\n").count == 3 && counts.count == 3)
    #expect(counts[0] < counts[1] && counts[1] == counts[2])
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func aFirstComparisonIsThatOfAWarmCacheOrOfNoneAndLeavesNoProcess() throws {
    let command = try cold(
      """
      seed=90210
      compare() { $carousel compare --random 3 --tiny --seed $seed; }
      compare >cold; pgrep -f "tiny --seed [9]0210"
      compare | cmp - cold && CAROUSEL_CACHE=off compare | cmp - cold
      """)
    #expect(command.status == 0 && command.output.isEmpty)
  }

  @Test func referenceAgreesWithItself() throws {
    try check(Command(["compare", "--tiny", "--device", "reference", "--json"]))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func deviceAgreesWithTheReference() throws {
    try check(Command(["compare", "--tiny", "--json"]))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"), arguments: ["cpu", "gpu"])
  func eachFormOfTheKernelsIsCompared(kernels: String) throws {
    let command = try Command(["compare", "--kernels", kernels, "--json"] + Self.small)
    #expect(command.status == 0, "\(command.errors)")
    #expect(try command.json["ok"] as? Bool == true)
  }

  @Test(
    .enabled(if: Command.hasDevice, "no OpenCL device"), arguments: ["30", "1e3", "1e6", "1e30"])
  func largeInputsAreCompared(scale: String) throws {
    let command = try Command(["compare", "--scale", scale, "--json"] + Self.small)
    #expect(command.status == 0, "\(command.errors)")
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    let options = try #require(cases.first?["options"] as? [String: String])
    #expect(options["scale"].flatMap { Double($0) } == Double(scale))
  }

  /// Of two numbers normalisation leaves their order, and of its gradient next to nothing.
  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"), arguments: 1...3, [1, 2])
  func normalisationOfFewUnitsIsCompared(seed: Int, hiddenSize: Int) throws {
    let command = try Command([
      "compare", "--cell=rnn", "--layer-norm", "--hidden-size=\(hiddenSize)", "--input-size=1",
      "--steps=5", "--batch-size=3", "--seed=\(seed)", "--json",
    ])
    #expect(command.status == 0, "\(command.errors)")
  }

  /// More weights than the cores' caches hold are fetched while those before them are multiplied.
  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func manyWeightsAreCompared() throws {
    let command = try Command([
      "compare", "--json", "--steps=3", "--batch-size=26", "--input-size=16", "--hidden-size=900",
    ])
    #expect(command.status == 0, "\(command.errors)")
    #expect(try command.json["ok"] as? Bool == true)
  }

  /// One case of a plain LSTM, so that few kernels are compiled.
  private static let small = ["--steps=3", "--batch-size=2", "--input-size=3", "--hidden-size=5"]

  @Test(
    .enabled(if: Command.hasDevice, "no OpenCL device"),
    arguments: [
      "activate(ACT_##n, (REAL)(ALPHA_##n), (REAL)(BETA_##n), x) * 1.0001f", "(REAL)(NAN)",
    ])
  func wrongKernelExits1(gate: String) throws {
    let kernels = try Kernels(
      appending: "#undef ACTIVATE\n#define ACTIVATE(n, x) (\(gate))", to: "common/activation.cl")
    let command = try kernels.compare(["--json"] + Self.small)
    #expect(command.status == 1)
    #expect(try command.json["ok"] as? Bool == false)
    #expect(command.sentences.count == 1, "\(command.errors)")
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    #expect(cases.map { $0["ok"] as? Bool } == [false])
    let tensors = try #require(cases.first?["tensors"] as? [[String: Any]])
    #expect(tensors.count > 5 && tensors.contains { $0["ok"] as? Bool == false })
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func kernelThatDoesNotCompileExits69WithTheLog() throws {
    let kernels = try Kernels(appending: "unheard_of nonsense;", to: "cells/lstm.cl")
    let command = try kernels.compare(Self.small)
    #expect(command.status == 69)
    #expect(command.output.isEmpty)
    #expect(command.sentences.count == 1, "\(command.errors)")
    #expect(command.errors.contains("unheard_of"))
    #expect(command.errors.contains("Kernels/cells/lstm.cl:"))
  }

  @Test func layerOptionsMakeOneCase() throws {
    let command = try Command([
      "compare", "--device", "reference", "--json", "--steps", "3", "--batch-size", "2",
      "--input-size", "4", "--hidden-size", "5", "--layers", "2", "--no-bias",
    ])
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    #expect(cases.count == 1)
    #expect(
      cases[0]["sizes"] as? [String: Int] == [
        "sequenceLength": 3, "batchSize": 2, "inputSize": 4, "hiddenSize": 5, "layers": 2,
      ])
    let names = try #require(cases[0]["tensors"] as? [[String: Any]]).map { $0["name"] as? String }
    #expect(
      names == [
        "y", "h_n", "c_n", "grad_x", "grad_h_0", "grad_c_0", "grad_weight_ih_l0",
        "grad_weight_hh_l0", "grad_weight_ih_l1", "grad_weight_hh_l1",
      ])
  }

  /// Few enough programs that a first run ends soon: each set of options below is one or two of them.
  @Test func theDefaultHasFewPrograms() {
    let layers = ComparisonCases.standard.compactMap { ($0 as? RecurrentComparison)?.configuration }
    let kinds = Set(
      layers.map { layer in
        let options = layer.options
        let kernels = options.departures.filter {
          !["dropConnect", "recurrentDropout"].contains($0.key)
        }
        return ["\(layer.cell)"] + kernels.map { "\($0.key) \($0.value)" }
      })
    #expect(kinds.count <= 5 * Cell.allCases.count, "\(kinds)")
    #expect(Set(ComparisonCases.otherForm.compactMap(\.cell)) == Set(Cell.allCases))
  }

  @Test(arguments: [["--all", "--tiny"], ["--all", "--random=1"], ["--all", "--cell=gru"]])
  func setsThatDoNotGoTogetherExit64(options: [String]) throws {
    let command = try Command(["compare", "--device", "reference"] + options)
    #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
  }

  @Test func hiddenSizeBeyondTheMemoryExits69() throws {
    let command = try Command(["compare", "--device", "reference", "--hidden-size", "4000000"])
    #expect(command.status == 69)
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test func everyCaseIsNotZero() throws {
    for work in ComparisonCases.tiny + ComparisonCases.otherForm {
      for (name, tensor) in try work.tensors(on: ReferenceBackend(), seed: 1) {
        let isHeld =
          (work as? RecurrentComparison)?.configuration.options.overrides.isEmpty == false
        // No gradient passes a gate that is held.
        #expect(isHeld || tensor.values.contains { $0 != 0 }, "\(work.operation), \(name)")
        #expect(tensor.values.allSatisfy { $0.isFinite }, "\(work.operation), \(name)")
      }
    }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity, 1 + 1e-3])
  func wrongElementFails(value: Double) {
    var actual = [1.0, -2, 3]
    actual[0] = value
    let comparison = TensorComparison(name: "t", actual: actual, reference: [1, -2, 3])
    #expect(!comparison.ok)
  }

  /// y = tanh 10 is 1 in Float32, and its slope 0.
  @Test func theBoundFollowsTheConditioning() throws {
    let layers = RecurrentConfiguration(cell: .rnn, inputSize: 1, hiddenSize: 1)
    let plain = RecurrentComparison(layers, sequenceLength: 2, batchSize: 3)
    var saturated = plain
    saturated.scale = 30
    for (work, isLarger) in [(plain, false), (saturated, true)] {
      let rounding = ReferenceBackend(roundingSeed: 5, sumLength: work.sumLength)
      let (actual, exact) = try (
        work.tensors(on: rounding, seed: 1), work.tensors(on: ReferenceBackend(), seed: 1)
      )
      let errors = zip(actual, exact).map {
        TensorComparison(
          name: $0.name, actual: $0.tensor.values, reference: $1.tensor.values)
      }
      #expect(errors.allSatisfy { $0.nrms > 0 })
      #expect(errors.contains { !$0.ok } == isLarger)
      #expect(try work.compare(on: rounding, seed: 1).allSatisfy(\.ok))
    }
  }

  @Test func nrmsIsThatOfTheContract() {
    let comparison = TensorComparison(name: "t", actual: [1, -4, 3], reference: [1, -2, 4])
    #expect(abs(comparison.nrms - 5.squareRoot() / (3.squareRoot() * 4)) < 1e-15)
    #expect(comparison.maxAbsolute == 2)
  }

  @Test func zerosAgreeWithZerosAlone() {
    #expect(TensorComparison(name: "t", actual: [0, 0], reference: [0, 0]).ok)
    #expect(!TensorComparison(name: "t", actual: [0, 1e-30], reference: [0, 0]).ok)
    #expect(!TensorComparison(name: "t", actual: [0, .nan], reference: [0, 0]).ok)
  }
}

/// The kernels on disk, one of them changed.
private struct Kernels {
  let folder: Folder

  init(appending line: String, to name: String) throws {
    folder = try Folder()
    let root = URL(filePath: #filePath).appending(path: "../../../Kernels").standardized
    try FileManager.default.copyItem(at: root, to: URL(filePath: folder["Kernels"]))
    let file = folder["Kernels"] + "/" + name
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try (text + line + "\n").write(toFile: file, atomically: true, encoding: .utf8)
  }

  func compare(_ options: [String]) throws -> Command {
    try Command(["compare"] + options, environment: ["CAROUSEL_KERNELS": folder["Kernels"]])
  }
}
