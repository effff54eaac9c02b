import Foundation
import Testing

@testable import Carousel

/// Tables of text for a terminal.
@Suite struct TableTests {
  private func table(columns: Int) -> Table {
    var table = Table(["way"] + (1..<columns).map { "column \($0)" })
    table.add(["coupled"] + (1..<columns).map { "\($0 * 1_000_000_000)" })
    return table
  }

  @Test func whatFitsIsOneTable() {
    let table = table(columns: 3)
    #expect(table.foldedText == table.text)
  }

  /// Every column stands in one part, behind the name of its row, and no part is wider than the terminal.
  @Test func columnsThatDoNotFitStandBelowBehindTheFirst() {
    let parts = table(columns: 14).foldedText.components(separatedBy: "\n\n")
    let lines = parts.map { $0.split(separator: "\n") }
    #expect(parts.count > 1 && lines.allSatisfy { $0.count == 2 })
    #expect(lines.joined().allSatisfy { $0.count <= 80 })
    #expect(lines.allSatisfy { $0[0].hasPrefix("way") && $0[1].hasPrefix("coupled") })
    let words = lines.flatMap { $0[1].split(separator: " ").dropFirst() }
    #expect(words == (1..<14).map { "\($0 * 1_000_000_000)" })
  }

  /// A word that is wider than the terminal alone still stands beside its row's name.
  @Test func aColumnWiderThanTheTerminalIsNotLost() {
    var table = Table(["way", "equation", "loss"])
    table.add(["coupled", String(repeating: "c", count: 90), "1.5"])
    let parts = table.foldedText.components(separatedBy: "\n\n")
    #expect(parts.count == 2)
    #expect(parts[0].contains("ccc") && parts[1].hasPrefix("way") && parts[1].hasSuffix("1.5"))
  }
}
