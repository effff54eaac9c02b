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
  var text: String {
    let isNumeric = header.indices.map { column in
      !rows.isEmpty && rows.allSatisfy { $0[column].first?.isNumber ?? true }
    }
    let widths = header.indices.map { column in
      ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    return ([header] + rows).map { row in
      let words = row.indices.map { column in
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

/// A number with this many digits behind the point.
func decimal(_ value: Double, digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }
