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

  /// The line in at most `columns` columns.
  ///
  /// Words that do not fit are left out, and a bar fills what is left, where that is enough for one.
  func line(columns: Int) -> String {
    var words = shownWords
    func text() -> String { words.joined(separator: "  ") }
    while words.count > 1, text().count > columns { words.removeLast() }
    guard text().count <= columns else { return text().prefix(max(columns - 1, 0)) + "…" }
    let room = min(columns - text().count - 1, 24)
    guard let fraction, room >= 8 else { return text() }
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
    case .saving(let number, let count):
      "keeping compiled programs for the next run: \(number) of \(count)"
    }
  }
}
