import Carousel
import Foundation

extension ProfileReport {
  /// The report as `profile` prints it, in 80 columns where names allow it.
  var text: String {
    [
      tuningText, summary, notes.map { folded($0, behind: "note  ") }.joined(separator: "\n"),
      kernelText, operatorText,
    ].filter { !$0.isEmpty }.joined(separator: "\n\n")
  }

  /// The walls of several cases side by side, and the kernel of each that takes longest.
  static func text(_ reports: [ProfileReport], _ list: ValueList) -> String {
    var table = Table([
      list.title, "ms a pass", "best", "GFLOP/s", "of the peak", "longest kernel", "its share",
    ])
    for (value, report) in zip(list.values, reports) {
      let longest = report.kernels.max { $0.totalSeconds < $1.totalSeconds }
      table.add([
        value, milliseconds(report.wall.medianSeconds), milliseconds(report.wall.minSeconds),
        rate(report.wall.neededGflops), percent(report.wall.fractionOfPeak, digits: 1),
        longest?.name ?? "", longest.map { percent($0.share, digits: 1) } ?? "",
      ])
    }
    return [reports.first?.device ?? "", table.text].joined(separator: "\n\n")
  }

  private var tuningText: String {
    guard let tuning else { return "" }
    var table = Table(["way to compute", "ms a pass"])
    for choice in tuning { table.add([choice.words, milliseconds(choice.medianSeconds)]) }
    return table.text
  }

  private var summary: String {
    let details = details.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    let measured = "the largest of \(peak.measurements) measurements"
    var lines = [
      device, folded(details),
      "peak  \(rate(peak.gflops)) GFLOP/s, \(rate(peak.gigabytesPerSecond)) GB/s of memory",
      "      \(measured), which differ by \(percent(peak.gflopsSpread)) and "
        + percent(peak.gigabytesPerSecondSpread),
      "wall  \(milliseconds(wall.medianSeconds)) ms a pass, the median; "
        + "\(milliseconds(wall.minSeconds)) ms at best",
      "      \(rate(wall.neededGflops)) GFLOP/s, "
        + "\(decimal(wall.fractionOfPeak * 100))% of the peak",
    ]
    if hasNominalRate {
      let needed = percent(wall.neededGflops / wall.gflops, digits: 1)
      lines.append(
        folded(
          "nominal \(rate(wall.gflops)) GFLOP/s, by the full count 2·T·N·G·H·(C+H) for a pass forward, "
            + "of which \(needed) are needed", behind: "      "))
    }
    return lines.joined(separator: "\n")
  }

  /// The operators that take most, as many as a screen has lines.
  private var operatorText: String {
    guard let operators, !operators.isEmpty else { return "" }
    var table = Table(["operator", "launches", "ms a pass", "share", "node"])
    for row in operators.prefix(40) {
      table.add([
        row.name, "\(row.launches)", milliseconds(row.totalSeconds), percent(row.share, digits: 1),
        row.node,
      ])
    }
    let left = operators.count - 40
    return table.text + (left > 0 ? "\n\n\(left) operators that take less: --json has them" : "")
  }

  private var kernelText: String {
    guard !kernels.isEmpty else { return "" }
    var table = Table(
      ["kernel", "launches", "ms a pass", "share", "GFLOP/s", "GB/s", "FLOP/B", "bound by"])
    for kernel in kernels {
      table.add([
        kernel.name, "\(kernel.launches)", milliseconds(kernel.totalSeconds),
        percent(kernel.share, digits: 1), rate(kernel.gflops),
        rate(kernel.gigabytesPerSecond), rate(kernel.arithmeticIntensity),
        kernel.bound.rawValue,
      ])
    }
    let part = kernels.reduce(0) { $0 + $1.totalSeconds } / wall.medianSeconds
    return table.text
      + "\n\nkernels take \(percent(part)) of the wall; launching and waiting take the rest"
  }
}

private func milliseconds(_ seconds: Double) -> String { decimal(seconds * 1e3, digits: 3) }

/// A rate with one digit behind the point, or below 1 with two digits that count.
private func rate(_ value: Double) -> String {
  value == 0 || value >= 1 ? decimal(value) : String(format: "%.2g", value)
}
