import Foundation

/// Rows of words under a header, aligned with spaces, numbers to the right.
struct Table {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: [String]) { self.header = header }

  /// Adds a row of as many words as the header has.
  mutating func add(_ row: [String]) {
    precondition(row.count == header.count)
    rows.append(row)
  }

  /// The table as lines of text.
  var text: String { text(of: Array(header.indices)) }

  /// The same in lines of 80 columns where its words allow it: what does not fit is a table of its own below, behind
  /// the first column again.
  var foldedText: String {
    var parts = [[0]]
    var width = widths[0]
    for column in header.indices.dropFirst() {
      width += 2 + widths[column]
      if width > 80, parts[parts.count - 1].count > 1 {
        parts.append([0])
        width = widths[0] + 2 + widths[column]
      }
      parts[parts.count - 1].append(column)
    }
    return parts.map { text(of: $0) }.joined(separator: "\n\n")
  }

  private var widths: [Int] {
    header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
  }

  private func text(of columns: [Int]) -> String {
    let isNumeric = header.indices.map { column in
      !rows.isEmpty && rows.allSatisfy { $0[column].first?.isNumber ?? true }
    }
    let widths = widths
    return ([header] + rows).map { row in
      let words = columns.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return isNumeric[column] ? padding + row[column] : row[column] + padding
      }
      let line = words.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}

/// `12.3 GiB`, or the next smaller unit that keeps the number at 1 or above.
func byteText(_ count: Int) -> String {
  let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
  var value = Double(count)
  var unit = 0
  while value >= 1024, unit + 1 < units.count {
    value /= 1024
    unit += 1
  }
  return unit == 0 ? "\(count) bytes" : String(format: "%.1f ", value) + units[unit]
}

/// A number with three digits and its power of ten: `1.23e-07`.
func scientific(_ value: Double) -> String { String(format: "%.2e", value) }

/// A part of a whole: `12%`.
func percent(_ part: Double, digits: Int = 0) -> String {
  decimal(part * 100, digits: digits) + "%"
}

/// The text in lines of at most 80 columns where its words allow it: the first behind `prefix`, the others
/// behind as many spaces.
func folded(_ text: String, behind prefix: String = "") -> String {
  var lines = [prefix]
  var isFirst = true
  for word in text.split(separator: " ") {
    if !isFirst, lines[lines.count - 1].count + 1 + word.count > 80 {
      lines.append(String(repeating: " ", count: prefix.count))
      isFirst = true
    }
    lines[lines.count - 1] += (isFirst ? "" : " ") + word
    isFirst = false
  }
  return lines.joined(separator: "\n")
}

/// A number with this many digits behind the point.
func decimal(_ value: Double, digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }
