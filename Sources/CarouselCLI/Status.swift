import Carousel

/// What a command is doing: words, the most important first, and how much of it is done.
struct Status {
  /// What the line says; where it is too long the last words go first.
  var words: [String]
  /// How much is done, from 0 to 1, for a bar; nil where nobody knows.
  var fraction: Double?
  /// Whether the seconds since the status changed belong behind it.
  var countsSeconds = true

  init(_ words: String..., fraction: Double? = nil) {
    self.words = words
    self.fraction = fraction
  }

  /// A count of things of which number `number`, from 1, is at work.
  init(_ noun: String, _ number: Int, of count: Int, words: [String] = []) {
    self.words = ["\(noun) \(number) of \(count)"] + words
    fraction = Double(number - 1) / Double(max(count, 1))
  }

  /// The status while a driver is busy: what it does comes first.
  func during(_ activity: DriverActivity) -> Status {
    var result = self
    result.words.insert(activity.words, at: 0)
    result.countsSeconds = true
    return result
  }

  /// The words as they are shown; a command that has not said what it does is working.
  var shownWords: [String] {
    (words.isEmpty ? ["working"] : words).map { $0.escapingControls() }
  }

  /// A shorter bar says nothing.
  private static let leastBarColumns = 8

  /// The line in at most `columns` columns.
  ///
  /// Words that do not fit beside a bar are left out but the first, and the bar where that leaves no room.
  func line(columns: Int) -> String {
    var words = shownWords
    func text() -> String { words.joined(separator: "  ") }
    let barColumns = fraction == nil ? 0 : Self.leastBarColumns + 1
    while words.count > 1, text().columns + barColumns > columns { words.removeLast() }
    guard text().columns <= columns else { return text().cut(to: columns) }
    let room = min(columns - text().columns - 1, 24)
    guard let fraction, room >= Self.leastBarColumns else { return text() }
    let filled = Int(min(max(fraction, 0), 1) * Double(room))
    return String(repeating: "━", count: filled) + String(repeating: "╌", count: room - filled)
      + " "
      + text()
  }
}

extension DriverActivity {
  /// What the driver does, in a few words.
  fileprivate var words: String {
    switch self {
    case .compiling(let program, let number):
      "compiling kernels: \(program), \(number) so far"
    case .firstLaunch(let kernel): "preparing kernels: \(kernel)"
    }
  }
}

extension String {
  /// The columns that a terminal takes for the text: two for a letter of East Asia, and for emoji.
  var columns: Int { reduce(0) { $0 + $1.columns } }

  /// The beginning of the text, and an ellipsis, in this many columns.
  fileprivate func cut(to limit: Int) -> String {
    var left = limit - 1
    let beginning = prefix { character in
      left -= character.columns
      return left >= 0
    }
    return beginning + "…"
  }
}

extension Character {
  fileprivate var columns: Int {
    unicodeScalars.contains { 0x1100...0x115F ~= $0.value || $0.value >= 0x2E80 } ? 2 : 1
  }
}
