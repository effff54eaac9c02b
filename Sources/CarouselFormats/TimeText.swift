import Foundation

/// Times as data files have them.
enum TimeText {
  /// The seconds from 1970 on of a date, as ISO 8601 has it or with slashes; nil where it is none.
  ///
  /// A time of day may follow. A zone is taken into account, without one the time counts as UTC.
  static func seconds(_ text: String) -> Double? {
    let text = text.trimmingCharacters(in: .whitespaces)
    let sides = text.split(
      maxSplits: 1, omittingEmptySubsequences: true, whereSeparator: { $0 == "T" || $0 == " " })
    guard let date = sides.first else { return nil }
    let separator: Character = date.contains("/") ? "/" : "-"
    let numbers = date.split(separator: separator, omittingEmptySubsequences: false).map(number)
    guard 2...3 ~= numbers.count, let year = numbers[0], let month = numbers[1], 1...12 ~= month,
      let day = numbers.count == 3 ? numbers[2] : 1, 1...31 ~= day,
      date.prefix(while: \.isNumber).count == 4
    else { return nil }
    guard let time = sides.count == 2 ? secondsOfDay(String(sides[1])) : 0 else { return nil }
    return Double(days(year: year, month: month, day: day)) * 86_400 + time
  }

  private static func number(_ text: Substring) -> Int? {
    text.allSatisfy(\.isASCII) && text.allSatisfy(\.isNumber) ? Int(text) : nil
  }

  /// `HH:MM`, with seconds and a zone where they are there.
  private static func secondsOfDay(_ text: String) -> Double? {
    var clock = text[...]
    var offset = 0.0
    if clock.hasSuffix("Z") {
      clock = clock.dropLast()
    } else if let sign = clock.lastIndex(where: { $0 == "+" || $0 == "-" }) {
      let zone = clock[clock.index(after: sign)...].replacing(":", with: "")
      guard let value = number(Substring(zone)), zone.count == 4 || zone.count == 2 else {
        return nil
      }
      let minutes = zone.count == 2 ? value * 60 : value / 100 * 60 + value % 100
      offset = Double(clock[sign] == "+" ? -minutes : minutes) * 60
      clock = clock[..<sign]
    }
    let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
    guard 2...3 ~= parts.count, let hours = number(parts[0]), let minutes = number(parts[1]),
      0...24 ~= hours, 0..<60 ~= minutes
    else { return nil }
    var seconds = 0.0
    if parts.count == 3 {
      guard case .number(let value) = NumberCell(parts[2].utf8), 0..<61 ~= value else { return nil }
      seconds = value
    }
    return Double(hours * 3600 + minutes * 60) + seconds + offset
  }

  /// The days from 1970-01-01 on, of the Gregorian calendar.
  ///
  /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  static func days(year: Int, month: Int, day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}
