import CarouselModel

/// The bytes of a text or of a part of one: in memory, or in files that are read where bytes are asked for.
///
/// Reading from files takes no memory but for the bytes that are asked for.
public struct TextContent: Sendable {
  private enum Place: Sendable {
    case memory(ArraySlice<UInt8>)
    /// Files one behind the other, and where each begins.
    case files([(start: Int, file: InputFile)])
  }

  private let place: Place
  /// Which bytes of the whole these are.
  private let range: Range<Int>

  /// The number of bytes.
  public var count: Int { range.count }

  /// Whether the bytes are in memory.
  public var isInMemory: Bool { if case .memory = place { true } else { false } }

  /// Takes bytes from memory.
  public init(_ bytes: ArraySlice<UInt8>) {
    place = .memory(bytes)
    range = bytes.indices
  }

  /// Opens regular files, whose bytes stay there.
  ///
  /// Throws `missingInput` where one is not there or is no regular file.
  public init(files paths: [String]) throws(CarouselError) {
    var files: [(start: Int, file: InputFile)] = []
    var count = 0
    for path in paths {
      let file = try InputFile(path)
      files.append((count, file))
      count += file.byteCount
    }
    place = .files(files)
    range = 0..<count
  }

  private init(_ content: TextContent, _ range: Range<Int>) {
    (place, self.range) = (content.place, range)
  }

  /// The bytes of a range that is within 0 and `count`.
  public func part(_ range: Range<Int>) -> TextContent {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "no part: \(range)")
    let first = self.range.lowerBound
    return TextContent(self, first + range.lowerBound..<first + range.upperBound)
  }

  /// Calls `body` with the bytes of a range that is within 0 and `count`.
  ///
  /// Throws where a file ends earlier than it did when it was opened, or cannot be read.
  public func withBytes<Result>(
    _ range: Range<Int>, _ body: (UnsafeBufferPointer<UInt8>) throws(CarouselError) -> Result
  ) throws(CarouselError) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "no part: \(range)")
    let first = self.range.lowerBound + range.lowerBound
    switch place {
    case .memory(let bytes):
      let part = bytes[first..<first + range.count]
      return try part.withUnsafeBufferPointer { buffer in
        Swift.Result { () throws(CarouselError) in try body(buffer) }
      }.get()
    case .files(let files):
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 1)
      defer { buffer.deallocate() }
      for (start, file) in files {
        let wanted = (first..<first + range.count).clamped(to: start..<start + file.byteCount)
        guard !wanted.isEmpty else { continue }
        let rest = wanted.lowerBound - first..<wanted.upperBound - first
        try file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[rest]), at: wanted.lowerBound - start
        )
      }
      return try body(UnsafeBufferPointer(buffer.bindMemory(to: UInt8.self)))
    }
  }

  /// Calls `body` with all bytes in order, in chunks, until it returns false.
  public func forEachChunk(
    of size: Int = 1 << 20,
    _ body: (_ offset: Int, UnsafeBufferPointer<UInt8>) throws(CarouselError) -> Bool
  ) throws(CarouselError) {
    var offset = 0
    while offset < count {
      let range = offset..<min(offset + size, count)
      let goesOn = try withBytes(range) { bytes throws(CarouselError) in try body(offset, bytes) }
      guard goesOn else { return }
      offset = range.upperBound
    }
  }

  /// Calls `body` with at most `places` blocks of at most `size` bytes, spread evenly from the first byte to
  /// the last; they are all bytes where these are few.
  public func forEachBlock(
    places: Int, size: Int, _ body: (UnsafeBufferPointer<UInt8>) throws(CarouselError) -> Void
  ) throws(CarouselError) {
    guard count > places * size else {
      return try forEachChunk { _, bytes throws(CarouselError) in
        try body(bytes)
        return true
      }
    }
    for place in 0..<places {
      let offset = Int((Double(count - size) * Double(place) / Double(places - 1)).rounded(.down))
      try withBytes(offset..<offset + size, body)
    }
  }
}
