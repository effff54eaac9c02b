import Carousel
import Foundation
import Testing

/// Whether the device that is tested is PoCL's.
private func isPoCL() -> Bool {
  let device = ProcessInfo.processInfo.environment["CAROUSEL_TEST_DEVICE"] ?? "auto"
  return (try? Device.select(device))?.platformVersion.contains("PoCL") == true
}

/// The same work in processes whose driver has other numbers of threads: not a bit differs.
@Suite(.enabled("only PoCL is told its number of threads") { isPoCL() })
struct ThreadCountTests {
  private static let counts = [1, 2, 3, 7]

  private let data = try? OwnData()

  /// A driver with so many threads, and a cache of programs that all these processes share.
  private func environment(threads: Int) throws -> [String: String] {
    var result = ["CAROUSEL_CACHE": try #require(data).folder["cache"]]
    // PoCL 3 and PoCL 4 and later.
    for name in ["POCL_MAX_PTHREAD_COUNT", "POCL_CPU_MAX_CU_COUNT"] { result[name] = "\(threads)" }
    return result
  }

  @Test func theDriverHasAsManyComputeUnits() throws {
    let units = try Self.counts.map { count in
      let command = try Command(["devices", "--json"], environment: environment(threads: count))
      let devices = try #require(try command.json["devices"] as? [[String: Any]])
      return devices.compactMap { $0["computeUnits"] as? Int }
    }
    #expect(Set(units).count > 1, "\(units)")
  }

  /// Every kind of kernel, in both forms.
  @Test func layersAndOperationsHaveTheSameBits() throws {
    let device = ProcessInfo.processInfo.environment["CAROUSEL_TEST_DEVICE"] ?? "auto"
    let hashes = try Self.counts.map { count in
      let command = try Command(
        program: "CheckBits", ["--record", "--cache", "--device", device],
        environment: environment(threads: count))
      #expect(command.status == 0, "\(command.errors)")
      return command.output.split(separator: "\n")
    }
    #expect(hashes[0].count > 30)
    for (count, lines) in zip(Self.counts, hashes).dropFirst() {
      for (line, first) in zip(lines, hashes[0]) {
        #expect(line == first, "with \(count) threads")
      }
      #expect(lines.count == hashes[0].count)
    }
  }

  /// Updates with dropout, clipping and sequences of different lengths.
  @Test(arguments: ["text", "classify", "adding"])
  func trainingHasTheSameBits(task: String) throws {
    let data = try #require(data)
    let file: [String] =
      switch task {
      case "text": [try data.text()]
      case "classify": [try data.classes()]
      default: []
      }
    let cell = task == "classify" ? "gru" : "lstm"
    let sizes =
      task == "classify"
      ? ["--id", "id", "--label", "label", "--time", "time"] : ["--sequence-length", "9"]
    let tensors = try Self.counts.map { count in
      let run = data.folder["\(task)-\(count)"]
      let command = try Command(
        ["train", task] + file + sizes + [
          "--cell", cell, "--hidden-size", "33", "--layers", "2", "--batch-size", "5",
          "--dropout", "0.2", "--clip-norm", "0.5", "--max-steps", "6", "--evaluate-every", "6",
          "--quiet", "--output", run,
        ], environment: environment(threads: count))
      #expect(command.status == 0, "\(command.errors)")
      return try OwnData.tensors(run + "/last.safetensors")
    }
    #expect(tensors[0].count > 10_000)
    for (count, other) in zip(Self.counts, tensors).dropFirst() {
      #expect(other == tensors[0], "with \(count) threads")
    }
  }

  /// A run that goes on where there are other cores says nothing, and computes what the first would have.
  @Test func aRunIsResumedWithOtherThreadsToTheSameBits() throws {
    let data = try #require(data)
    let text = try data.text()
    let (whole, parts) = (data.folder["whole"], data.folder["parts"])
    let settings = [
      text, "--hidden-size", "33", "--batch-size", "6", "--sequence-length", "9",
      "--recurrent-dropout", "0.2", "--evaluate-every", "3",
    ]
    for (words, threads) in [
      (settings + ["--output", whole, "--max-steps", "6"], 2),
      (settings + ["--output", parts, "--max-steps", "3"], 1),
      (["--resume", parts, "--max-steps", "6"], 7),
    ] {
      let command = try Command(
        ["train", "text"] + words, environment: environment(threads: threads))
      #expect(command.status == 0 && !command.errors.contains("may differ"), "\(command.errors)")
    }
    let ends = try [whole, parts].map { try OwnData.tensors($0 + "/last.safetensors") }
    #expect(ends[0] == ends[1])
  }
}
