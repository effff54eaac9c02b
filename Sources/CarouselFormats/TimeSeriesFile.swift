import CarouselModel

extension SequenceSet {
  /// Reads a `.ts` file of the UCR and UEA archives: a header of lines that begin with `@`, then after
  /// `@data` a case a line, its channels separated by colons, their values by commas, its class at the end.
  ///
  /// Throws where the header is wrong, where a case does not fit it, and as `missing` says.
  public init(timeSeriesFile path: String, missing: MissingValues = .error) throws(CarouselError) {
    let bytes = try [UInt8](contentsOfInput: path)
    let name = path == "-" ? "standard input" : path
    var header = TimeSeriesHeader()
    self.init(source: name, channels: [])
    var isInData = false
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let line = line.trimmingSpaces(skippingMark: number == 1)
      if !isInData {
        isInData = try header.take(line, name, number)
      } else if let first = line.first, first != UInt8(ascii: "#") {
        try append(line, header, missing, "\(name): line \(number)")
        lines.append(number)
      }
    }
    guard isInData else { throw TimeSeriesHeader.withoutData(name) }
    guard count > 0 else {
      throw CarouselError(.badData, "\(name): expected cases behind '@data', found none")
    }
  }

  mutating func append(
    _ line: ArraySlice<UInt8>, _ header: TimeSeriesHeader, _ missing: MissingValues, _ place: String
  ) throws(CarouselError) {
    var parts = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    if !header.classes.isEmpty {
      let label = String(decoding: parts.removeLast().trimmingSpaces(), as: UTF8.self)
      guard header.classes.contains(label) else {
        throw CarouselError(
          .badData,
          "\(place): expected one of the classes of '@classLabel' at the end, found '\(label)'"
            + suggestion(for: label, among: header.classes))
      }
      labels.append(label)
    }
    let width = try header.checked(channels: parts.count, known: channels.count, place)
    if channels.isEmpty { channels = (1...max(width, 1)).map { "\($0)" } }
    let cells = parts.map {
      $0.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    }
    let length = cells[0].count
    try header.check(length: length, known: count > 0 ? self.length(0) : nil, place)
    let base = values.count
    values += repeatElement(0, count: length * width)
    for (channel, column) in cells.enumerated() {
      guard column.count == length else {
        throw CarouselError(
          .badData,
          "\(place), channel \(channel + 1): expected \(counted(length, "value")) as in channel 1, found "
            + "\(column.count)")
      }
      for (step, cell) in column.enumerated() {
        let value = Result { () throws(CarouselError) in
          try MissingValues.value(NumberCell(cell), missing) {
            (
              "\(place), channel \(channel + 1), step \(step + 1)",
              String(decoding: cell, as: UTF8.self)
            )
          }
        }
        values[base + step * width + channel] = try value.get()
      }
    }
    endSequence(missing: missing)
  }
}

extension MissingValues {
  /// A cell as a number, or the mark of a missing one; throws where it is neither or may not be missing.
  static func value(
    _ cell: NumberCell, _ missing: MissingValues, _ describe: () -> (place: String, text: String)
  ) throws(CarouselError) -> Float {
    switch cell {
    case .number(let number) where Float(number).isFinite: return Float(number)
    case .missing:
      guard missing != .error else { throw refusal(describe().place) }
      return mark
    case .number, .text:
      let (place, text) = describe()
      throw CarouselError(
        .badData, "\(place): expected a number, found '\(text.prefix(40))'")
    }
  }
}

/// What a `.ts` file says of its cases.
struct TimeSeriesHeader {
  var classes: [String] = []
  private var channels: Int?
  private var length: Int?
  /// Whether all cases have the same length.
  private(set) var isEqualLength = false

  /// What lines of a header may be called, in small letters.
  private static let names = [
    "problemname", "timestamps", "missing", "univariate", "dimensions", "dimension", "equallength",
    "serieslength", "classlabel", "targetlabel", "data",
  ]

  /// Takes a line without white space around it; true for `@data`.
  mutating func take(
    _ line: ArraySlice<UInt8>, _ name: String, _ number: Int
  ) throws(CarouselError) -> Bool {
    guard let first = line.first, first != UInt8(ascii: "#") else { return false }
    let place = "\(name): line \(number)"
    guard first == UInt8(ascii: "@") else {
      throw CarouselError(
        .badData,
        "\(place): expected a line of the header that begins with '@', or '@data', found "
          + "'\(String(decoding: line.prefix(24), as: UTF8.self))'")
    }
    let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    return try read(words.map(String.init), place)
  }

  /// The sentence about a file without `@data`.
  static func withoutData(_ name: String) -> CarouselError {
    CarouselError(.badData, "\(name): expected a line '@data' behind the header, found none")
  }

  /// Takes a line's words; true for `@data`.
  private mutating func read(_ words: [String], _ place: String) throws(CarouselError) -> Bool {
    let name = words[0].dropFirst().lowercased()
    let value = words.count > 1 ? words[1].lowercased() : ""
    switch name {
    case "data": return true
    case "problemname": break
    case "timestamps":
      guard try !Self.flag(words, place) else {
        throw CarouselError(
          .badData, "\(place): expected '@timeStamps false', found time stamps, which are not read")
      }
    case "missing": _ = try Self.flag(words, place)
    case "univariate": if try Self.flag(words, place) { channels = 1 }
    case "equallength": isEqualLength = try Self.flag(words, place)
    case "dimensions", "dimension": channels = try Self.count(words, place)
    case "serieslength": length = try Self.count(words, place)
    case "classlabel":
      if try Self.flag(words, place) {
        classes = Array(words.dropFirst(2))
        guard !classes.isEmpty else {
          throw CarouselError(
            .badData, "\(place): expected the classes behind '@classLabel true', found none")
        }
      }
    case "targetlabel":
      guard value == "false" else {
        throw CarouselError(
          .badData, "\(place): expected classes, found a file of numbers to be predicted")
      }
    default:
      throw CarouselError(
        .badData,
        "\(place): expected a line of a .ts header, found '\(words[0])'"
          + suggestion(for: name, among: Self.names, before: "@"))
    }
    return false
  }

  /// Expects all cases to have the channels, and where the header says so the length, of the first one.
  mutating func follow(_ first: SequenceSet) {
    channels = first.channels.count
    length = first.length(0)
  }

  private static func flag(_ words: [String], _ place: String) throws(CarouselError) -> Bool {
    switch words.count > 1 ? words[1].lowercased() : "" {
    case "true": return true
    case "false": return false
    default:
      throw CarouselError(
        .badData,
        "\(place): expected '\(words[0]) true' or 'false', found '\(words.joined(separator: " "))'")
    }
  }

  private static func count(_ words: [String], _ place: String) throws(CarouselError) -> Int {
    guard words.count > 1, let count = Int(words[1]), 1...1 << 30 ~= count else {
      throw CarouselError(
        .badData,
        "\(place): expected a number of at least 1 behind '\(words[0])', found "
          + "'\(words.dropFirst().joined(separator: " "))'")
    }
    return count
  }

  /// The channels of a case, where they fit the header and the cases before.
  func checked(channels found: Int, known: Int, _ place: String) throws(CarouselError) -> Int {
    let expected = known > 0 ? known : channels ?? found
    guard found == expected, found > 0 else {
      throw CarouselError(
        .badData,
        "\(place): expected \(counted(expected, "channel"))"
          + (channels == expected ? " as the header says" : " as in the first case")
          + (classes.isEmpty ? "" : " and a class") + ", found \(found)")
    }
    return found
  }

  /// Throws where the steps of a case do not fit the header and the cases before.
  func check(length found: Int, known: Int?, _ place: String) throws(CarouselError) {
    guard isEqualLength, let expected = length ?? known, expected != found else { return }
    throw CarouselError(
      .badData,
      "\(place): expected \(counted(expected, "step")) as '@equalLength true' says, found \(found)")
  }
}

extension ArraySlice<UInt8> {
  /// Without white space at either end, and without a byte order mark.
  func trimmingSpaces(skippingMark: Bool = false) -> ArraySlice<UInt8> {
    var slice = self
    if skippingMark, slice.starts(with: [0xEF, 0xBB, 0xBF]) { slice = slice.dropFirst(3) }
    while let byte = slice.first, byte == 32 || 9...13 ~= byte { slice.removeFirst() }
    while let byte = slice.last, byte == 32 || 9...13 ~= byte { slice.removeLast() }
    return slice
  }
}
