import CarouselModel

/// A synthetic text whose structure needs memory: words in lines of limited length, some in quotation marks,
/// some in brackets that may be nested.
struct StructuredText {
  /// The text.
  let bytes: [UInt8]
  /// Of each byte: its place in its line as a share of the longest, whether it stands between quotation
  /// marks, and how many brackets are open around it.
  private(set) var features: [(name: String, values: [Double])]

  /// How long a line is at most.
  static let lineLength = 48
  private static let words = [
    "the", "sea", "moves", "a", "boat", "under", "stars", "and", "wind", "turns", "slow", "oars",
    "home", "light", "of", "far", "shore", "calls", "night", "over", "deep", "water", "sings", "no",
  ]

  /// The text that a network is trained on.
  static func training(seed: UInt64) -> StructuredText { StructuredText(seed: seed, count: 60_000) }

  /// Draws a text of about `count` bytes; a function of the seed.
  init(seed: UInt64, count: Int) {
    let random = Philox(seed: seed, stream: RandomStream.input(12))
    var drawn = 0
    func draw(_ bound: Int) -> Int {
      drawn += 1
      return Int(random.uniform(drawn) * Double(bound))
    }
    var bytes: [UInt8] = []
    var place: [Double] = []
    var quoted: [Double] = []
    var depths: [Double] = []
    var (column, depth, isQuoted, rest) = (0, 0, false, 0)
    func put(_ text: some StringProtocol) {
      for byte in text.utf8 {
        bytes.append(byte)
        place.append(Double(column) / Double(Self.lineLength))
        quoted.append(isQuoted ? 1 : 0)
        depths.append(Double(depth))
        column = byte == UInt8(ascii: "\n") ? 0 : column + 1
      }
    }
    while bytes.count < count {
      let word = Self.words[draw(Self.words.count)]
      // A break wherever the next word, with what may stand around it, has no room.
      if column + word.count + 4 > Self.lineLength { put("\n") } else if column > 0 { put(" ") }
      if !isQuoted, draw(8) == 0 {
        put("\"")
        (isQuoted, rest) = (true, 2 + draw(6))
      } else if !isQuoted, depth < 3, draw(6) == 0 {
        put("(")
        depth += 1
      }
      put(word)
      if isQuoted {
        rest -= 1
        if rest == 0 {
          isQuoted = false
          put("\"")
        }
      } else if depth > 0, draw(4) == 0 {
        depth -= 1
        put(")")
      }
    }
    self.bytes = bytes
    features = [
      ("position in the line", place), ("inside quotation marks", quoted),
      ("open brackets", depths),
    ]
  }
}
