import Carousel
import Foundation
import Testing

@Suite struct ProfileTests {
  @Test(
    .enabled(if: Command.hasDevice, "no OpenCL device"),
    arguments: [("training", 3.0), ("inference", 1.0)])
  func profileHasWhatTheContractNames(mode: String, factor: Double) throws {
    let folder = try Folder()
    let command = try Command([
      "profile", "--json", "--mode", mode, "--steps", "5", "--batch-size", "3", "--input-size",
      "7", "--hidden-size", "9", "--layers", "2", "--iterations", "4", "--warmup", "1", "--trace",
      folder["trace.json"], "--report", folder["report.html"],
    ])
    #expect(command.status == 0, "\(command.errors)")
    let json = try command.json
    #expect((json["device"] as? String)?.isEmpty == false)
    let peak = try #require(json["peak"] as? [String: Double])
    #expect(try #require(peak["gflops"]) > 0)
    #expect(try #require(peak["gigabytesPerSecond"]) > 0)
    let wall = try #require(json["wall"] as? [String: Double])
    let (median, least) = (try #require(wall["medianSeconds"]), try #require(wall["minSeconds"]))
    #expect(0 < least && least <= median)
    let flops = factor * 2 * 5 * 3 * 4 * 9 * (7 + 9 + 9 + 9)
    let gflops = try #require(wall["gflops"])
    #expect(abs(gflops * median * 1e9 / flops - 1) < 1e-9)
    let fraction = try #require(wall["fractionOfPeak"])
    #expect(abs(fraction * (try #require(peak["gflops"])) / gflops - 1) < 1e-9)
    #expect((json["case"] as? [String: Any])?["mode"] as? String == mode)
    let kernels = try #require(json["kernels"] as? [[String: Any]])
    #expect(abs(kernels.reduce(0) { $0 + ($1["share"] as? Double ?? .nan) } - 1) < 1e-9)
    for kernel in kernels {
      #expect((kernel["name"] as? String)?.isEmpty == false)
      #expect((kernel["launches"] as? Int ?? 0) % 4 == 0)
      #expect((kernel["totalSeconds"] as? Double ?? 0) > 0)
      #expect(kernel["gflops"] is Double && kernel["gigabytesPerSecond"] is Double)
    }
    let trace = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(filePath: folder["trace.json"])))
    let events = (trace as? [String: Any])?["traceEvents"] as? [[String: Any]]
    let launches = kernels.reduce(0) { $0 + ($1["launches"] as? Int ?? 0) }
    #expect(events?.count { $0["ph"] as? String == "X" } == launches)
    let page = try String(contentsOfFile: folder["report.html"], encoding: .utf8)
    #expect(page.contains("<svg"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func tuningKeepsTheFastestBesideThePrograms() throws {
    let folder = try Folder()
    let command = try Command(
      shell: "CAROUSEL_CACHE=\(folder["cache"]) $carousel profile --tune --json --steps 3 "
        + "--batch-size 2 --input-size 4 --hidden-size 5 --iterations 2")
    #expect(command.status == 0, "\(command.errors)")
    let choices = try #require(try command.json["tuning"] as? [[String: Any]])
    let seconds = choices.compactMap { $0["medianSeconds"] as? Double }
    #expect(choices.count > 1 && seconds.count == choices.count && seconds == seconds.sorted())
    #expect(Set(choices.compactMap { $0["words"] as? String }).count == choices.count)
    let kept = try String(contentsOfFile: folder["cache/tuning.json"], encoding: .utf8)
    #expect(kept.contains("lstm N2 C4 H5"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func profileCountsTheStepsThatSequencesHave() throws {
    let json = try Command([
      "profile", "--json", "--mode", "inference", "--steps", "9", "--lengths", "9,0,2",
      "--input-size", "7", "--hidden-size", "5", "--iterations", "1",
    ]).json
    let details = try #require(json["case"] as? [String: Any])
    // 2 · 11 steps · 4 · 5 · (7 + 5)
    #expect(details["flops"] as? Double == 5280)
    #expect(details["batchSize"] as? Int == 3 && details["lengths"] as? String == "9 0 2")
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func traceThatCannotBeWrittenExits74() throws {
    let folder = try Folder()
    let command = try Command([
      "profile", "--hidden-size", "3", "--input-size", "2", "--iterations", "1", "--trace",
      folder["missing/trace.json"],
    ])
    #expect(command.status == 74)
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test func wallSumsUpOddAndEvenCounts() {
    let peak = ProfileReport.Peak(gflops: 8, gigabytesPerSecond: 1)
    let odd = ProfileReport.Wall(seconds: [3, 1, 2], flops: 4e9, peak: peak)
    #expect(odd.medianSeconds == 2)
    #expect(odd.minSeconds == 1)
    #expect(odd.gflops == 2)
    #expect(odd.fractionOfPeak == 0.25)
    let even = ProfileReport.Wall(seconds: [4, 1, 3, 2], flops: 5e9, peak: peak)
    #expect(even.medianSeconds == 2.5)
  }

  @Test func kernelIsBoundByTheNearerRoof() {
    let peak = ProfileReport.Peak(gflops: 100, gigabytesPerSecond: 10)
    func bound(_ flops: Double, _ bytes: Double) -> ProfileReport.Bound {
      ProfileReport.Kernel.bound(seconds: 1, flops: flops, bytes: bytes, peak: peak)
    }
    #expect(bound(60e9, 1e9) == .compute)
    #expect(bound(60e9, 9e9) == .bandwidth)
    #expect(bound(10e9, 1e9) == .latency)
    #expect(bound(0, 0) == .latency)
  }
}
