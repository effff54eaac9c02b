import Foundation

/// What a cell of a data file holds, where a number is expected.
package enum NumberCell: Equatable {
  /// A finite number.
  case number(Double)
  /// Nothing, or a word that stands for nothing: `NaN`, `NA`, `N/A`, `null`, `?`.
  case missing
  /// Anything else, infinities included.
  case text

  private static let missingWords: Set<String> = ["", "nan", "na", "n/a", "null", "?"]

  /// Reads a cell; white space around it does not matter.
  ///
  /// With `decimalComma` a comma stands for the point.
  package init(_ bytes: some BidirectionalCollection<UInt8>, decimalComma: Bool = false) {
    if let number = Self.plainNumber(bytes, decimalComma: decimalComma) {
      self = .number(number)
      return
    }
    var text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespaces)
    if Self.missingWords.contains(text.lowercased()) {
      self = .missing
      return
    }
    if decimalComma { text = text.replacing(",", with: ".") }
    let letters = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
    if letters, let number = Double(text), number.isFinite {
      self = .number(number)
    } else {
      self = .text
    }
  }

  /// Numbers without an exponent and of at most 15 digits, which one division of exact Doubles gives
  /// correctly rounded; nil for all others.
  private static func plainNumber(
    _ bytes: some BidirectionalCollection<UInt8>, decimalComma: Bool
  ) -> Double? {
    let point = decimalComma ? UInt8(ascii: ",") : UInt8(ascii: ".")
    var (mantissa, digits, decimals) = (0, 0, 0)
    var (isNegative, hasPoint, isFirst) = (false, false, true)
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        guard digits < 15 else { return nil }
        mantissa = mantissa * 10 + Int(byte - UInt8(ascii: "0"))
        digits += 1
        if hasPoint { decimals += 1 }
      case point where !hasPoint: hasPoint = true
      case UInt8(ascii: "-") where isFirst: isNegative = true
      case UInt8(ascii: "+") where isFirst: break
      default: return nil
      }
      isFirst = false
    }
    guard digits > 0 else { return nil }
    let value = Double(mantissa) / powersOfTen[decimals]
    return isNegative ? -value : value
  }

  /// Exact up to 10²².
  private static let powersOfTen = (0...15).map { pow(10, Double($0)) }
}
