extension Cell {
  /// The textbook letters of the gates, in the order of `gateNames`.
  public var gateLetters: [String] {
    switch self {
    case .rnn: ["h"]
    case .lstm: ["i", "f", "g", "o"]
    case .gru: ["r", "z", "n"]
    }
  }

  /// The name of the gate that a name or a letter stands for, such as `forget` for `f`; nil where the
  /// cell has no such gate.
  public func gateName(_ word: String) -> String? {
    if gateNames.contains(word) { return word }
    return gateLetters.firstIndex(of: word).map { gateNames[$0] }
  }

  /// The same for whatever can be given an activation; `h` stands for `hidden`.
  public func activationName(_ word: String) -> String? {
    gateName(word)
      ?? (activationNames.contains("hidden") && ["h", "hidden"].contains(word) ? "hidden" : nil)
  }

  /// The gate that can be held at a constant by this name or letter.
  ///
  /// Throws a usage error where the cell has none; the RNN's `hidden` is not a gate of this kind.
  public func overridableGate(_ word: String) throws(CarouselError) -> String {
    if self != .rnn, let name = gateName(word) { return name }
    let names = self == .rnn ? [] : gateNames
    throw CarouselError(
      .usage,
      "the \(rawValue) cell has no gate '\(word)', its gates: "
        + (names.isEmpty ? "none" : namesWithLetters.joined(separator: ", "))
        + suggestion(for: word, among: names))
  }

  /// Throws a usage error where nothing of this name or letter can be given an activation.
  public func activation(named word: String) throws(CarouselError) -> String {
    if let name = activationName(word) { return name }
    throw CarouselError(
      .usage,
      "the \(rawValue) cell has no activation '\(word)', it has "
        + activationNames.joined(separator: ", ") + suggestion(for: word, among: activationNames))
  }

  /// The gates as messages list them: `forget (f)`.
  public var namesWithLetters: [String] {
    zip(gateNames, gateLetters).map { "\($0) (\($1))" }
  }
}
