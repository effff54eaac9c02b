import Carousel
import Foundation
import Testing

/// What a device computes, bit by bit, as it was recorded in `frozen-bits.txt`.
@Suite struct FrozenBitsTests {
  private static let device = try? Device.select(
    ProcessInfo.processInfo.environment["CAROUSEL_TEST_DEVICE"] ?? "auto")
  private static let signature = device.map { FrozenBits.signature(of: $0) } ?? "no OpenCL device"

  /// The lines recorded for this device, by the label of their case; nil where there are none.
  private static let recorded: [String: String]? = {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "frozen-bits.txt")
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
    let lines = text.split(separator: "\n").map(String.init)
    guard let first = lines.firstIndex(of: "# \(signature)") else { return nil }
    let section = lines[(first + 1)...].prefix { !$0.hasPrefix("#") }
    return Dictionary(uniqueKeysWithValues: section.map { (label($0), $0) })
  }()

  private static func label(_ line: String) -> String {
    String(line.drop { $0 != " " }.dropFirst())
  }

  @Test(
    .enabled(
      if: recorded != nil,
      "no bits are recorded for \(signature); Tools/check-bits --record records them"))
  func noBitHasChanged() throws {
    let recorded = try #require(Self.recorded)
    var labels: Set<String> = []
    try FrozenBits.compute(FrozenBits.quick, on: #require(Self.device)) { hashes in
      labels.insert(hashes.label)
      #expect(
        recorded[hashes.label] == hashes.line,
        "if it is meant to change, record it with Tools/check-bits --record: \(hashes.detailedLine)"
      )
    }
    #expect(Set(recorded.keys).subtracting(labels) == [], "recorded cases that are no more")
  }

  @Test func casesHaveLabelsOfTheirOwn() {
    let labels = FrozenBits.standard.map(\.label)
    #expect(Set(labels).count == labels.count)
  }
}
