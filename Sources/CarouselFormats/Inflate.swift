import CarouselModel

/// Unpacks DEFLATE, RFC 1951.
struct Inflate {
  private let source: String
  private let input: [UInt8]
  private var position: Int
  private var bits: UInt32 = 0, bitCount = 0
  private var output: [UInt8] = []
  private let limit: Int

  /// Unpacks what begins at byte `start`; the result has at most `limit` bytes.
  ///
  /// Returns it, and where the packed bytes end. Throws where they are damaged or more than `limit`.
  static func unpacked(
    _ input: [UInt8], from start: Int, limit: Int, source: String
  ) throws(CarouselError) -> (output: [UInt8], end: Int) {
    var state = Inflate(source: source, input: input, position: start, limit: limit)
    var isLast = false
    while !isLast {
      isLast = try state.take(1) == 1
      switch try state.take(2) {
      case 0: try state.copyStored()
      case 1: try state.copyCoded(Self.fixedLiterals, Self.fixedDistances)
      case 2:
        let (literals, distances) = try state.readCodes()
        try state.copyCoded(literals, distances)
      default: throw state.damage("a block of an unknown kind")
      }
    }
    return (state.output, state.position - state.bitCount / 8)
  }

  private init(source: String, input: [UInt8], position: Int, limit: Int) {
    (self.source, self.input, self.position, self.limit) = (source, input, position, limit)
  }

  private func damage(_ found: String) -> CarouselError {
    CarouselError(.badData, "\(source): expected packed bytes, found \(found)")
  }

  private mutating func take(_ count: Int) throws(CarouselError) -> Int {
    while bitCount < count {
      guard position < input.count else { throw damage("the end of the file") }
      bits |= UInt32(input[position]) << bitCount
      position += 1
      bitCount += 8
    }
    let value = bits & (1 << count - 1)
    bits >>= count
    bitCount -= count
    return Int(value)
  }

  private mutating func append(_ byte: UInt8) throws(CarouselError) {
    guard output.count < limit else {
      throw CarouselError(
        .badData, "\(source): expected at most \(limit) bytes when unpacked, found more")
    }
    output.append(byte)
  }

  private mutating func copyStored() throws(CarouselError) {
    bits = 0
    position -= bitCount / 8
    bitCount = 0
    let (count, inverse) = (try take(16), try take(16))
    guard count ^ 0xFFFF == inverse else { throw damage("a block whose length is damaged") }
    for _ in 0..<count { try append(UInt8(take(8))) }
  }

  private mutating func copyCoded(_ literals: Code, _ distances: Code) throws(CarouselError) {
    while true {
      let symbol = try decode(literals)
      if symbol < 256 {
        try append(UInt8(symbol))
      } else if symbol == 256 {
        return
      } else {
        guard symbol - 257 < Self.lengths.count else { throw damage("an unknown length") }
        let (base, extra) = Self.lengths[symbol - 257]
        let count = try base + take(extra)
        let way = try decode(distances)
        guard way < Self.distances.count else { throw damage("an unknown distance") }
        let (start, more) = Self.distances[way]
        let distance = try start + take(more)
        guard distance <= output.count else { throw damage("a distance beyond the beginning") }
        for _ in 0..<count { try append(output[output.count - distance]) }
      }
    }
  }

  /// A canonical Huffman code: how many symbols have each length, and the symbols in order.
  struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int]

    /// Makes the code in which symbol s has `lengths[s]` bits, 0 for none.
    init(_ lengths: some Collection<Int>) {
      for length in lengths { counts[length] += 1 }
      counts[0] = 0
      symbols = lengths.enumerated().filter { $1 > 0 }
        .sorted { ($0.element, $0.offset) < ($1.element, $1.offset) }.map(\.offset)
    }
  }

  private mutating func decode(_ code: Code) throws(CarouselError) -> Int {
    var (value, first, index) = (0, 0, 0)
    for length in 1..<16 {
      value |= try take(1)
      let count = code.counts[length]
      if value - first < count, value >= first { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw damage("a code that stands for nothing")
  }

  private mutating func readCodes() throws(CarouselError) -> (Code, Code) {
    let literalCount = try take(5) + 257
    let distanceCount = try take(5) + 1
    let orderCount = try take(4) + 4
    var orderLengths = [Int](repeating: 0, count: 19)
    for index in Self.order.prefix(orderCount) { orderLengths[index] = try take(3) }
    let code = Code(orderLengths)
    var lengths: [Int] = []
    while lengths.count < literalCount + distanceCount {
      let symbol = try decode(code)
      switch symbol {
      case 16:
        guard let last = lengths.last else { throw damage("a length that repeats none") }
        lengths += try repeatElement(last, count: take(2) + 3)
      case 17: lengths += try repeatElement(0, count: take(3) + 3)
      case 18: lengths += try repeatElement(0, count: take(7) + 11)
      default: lengths.append(symbol)
      }
    }
    guard lengths.count == literalCount + distanceCount else {
      throw damage("more lengths of codes than codes")
    }
    return (Code(lengths[..<literalCount]), Code(lengths[literalCount...]))
  }

  private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private static let fixedLiterals = Code(
    (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
  private static let fixedDistances = Code([Int](repeating: 5, count: 30))
  /// The least length of each symbol from 257 on, and how many bits are added to it.
  private static let lengths: [(Int, Int)] =
    table(first: 3, extras: (0..<28).map { max(0, $0 / 4 - 1) }) + [(258, 0)]
  private static let distances: [(Int, Int)] = table(
    first: 1, extras: (0..<30).map { max(0, $0 / 2 - 1) })

  private static func table(first: Int, extras: [Int]) -> [(Int, Int)] {
    var start = first
    return extras.map { extra in
      defer { start += 1 << extra }
      return (start, extra)
    }
  }
}

/// Files packed by gzip, RFC 1952.
enum Gzip {
  /// Whether bytes begin as a packed file does.
  static func isPacked(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B, 8]) }

  /// Unpacks a file of one member.
  ///
  /// Throws where it is damaged: where its CRC-32 or its size is another, too.
  static func unpacked(_ bytes: [UInt8], source: String) throws(CarouselError) -> [UInt8] {
    func damage() -> CarouselError {
      CarouselError(.badData, "\(source): expected a file packed by gzip, found a damaged one")
    }
    guard bytes.count >= 18 else { throw damage() }
    let flags = bytes[3]
    var start = 10
    if flags & 4 != 0 { start += 2 + Int(bytes[start]) + Int(bytes[start + 1]) << 8 }
    for flag in [UInt8(8), 16] where flags & flag != 0 {
      guard start < bytes.count, let end = bytes[start...].firstIndex(of: 0) else {
        throw damage()
      }
      start = end + 1
    }
    if flags & 2 != 0 { start += 2 }
    let trailer = bytes.suffix(8)
    func word(_ offset: Int) -> UInt32 {
      trailer[(trailer.startIndex + offset)...].prefix(4).reversed().reduce(0) {
        $0 << 8 | UInt32($1)
      }
    }
    guard start < bytes.count - 8 else { throw damage() }
    let size = Int(word(4))
    // DEFLATE packs at most 1032 bytes into one.
    guard size / 1032 <= bytes.count else { throw damage() }
    let (output, end) = try Inflate.unpacked(bytes, from: start, limit: size, source: source)
    guard end == bytes.count - 8, output.count == size, CRC32.ieee.value(of: output) == word(0)
    else { throw damage() }
    return output
  }
}

/// A cyclic redundancy check of 32 bits, least significant bit first.
struct CRC32 {
  /// That of gzip and zip.
  static let ieee = CRC32(polynomial: 0xEDB8_8320)
  /// Castagnoli's, that of TensorBoard's files.
  static let castagnoli = CRC32(polynomial: 0x82F6_3B78)

  private let table: [UInt32]

  private init(polynomial: UInt32) {
    table = (0..<256).map { byte in
      (0..<8).reduce(UInt32(byte)) { value, _ in
        value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1
      }
    }
  }

  /// The check of bytes.
  func value(of bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }
}
