import CarouselModel

/// The sequences of a file that is too large to be read: each is found by its place and read when it is asked for.
///
/// Memory and the time to find a sequence do not grow with the file. Lines end with LF or CRLF, and no cell
/// holds a line break.
package struct RecordFile: Sendable {
  /// What a sequence is in a file.
  package enum Layout: Sendable {
    /// A line that is not empty, and does not begin with this byte.
    case lines(comment: UInt8?)
    /// Lines one after the other with the same cell in a column.
    case groups(column: Int, separator: UInt8)
    /// Lines between empty ones, or those that begin a document (CoNLL).
    case paragraphs
    /// So many bytes.
    case fixed(Int)
  }

  /// A sequence as it is in the file.
  package struct Record: Sendable {
    /// Where it begins.
    package let start: Int
    package let bytes: [UInt8]
  }

  /// The file.
  package var source: String { file.path }
  /// Where sequences are.
  package let range: Range<Int>
  /// The bytes of a sequence, on average over some places of the file.
  package private(set) var meanBytes = 256.0
  let file: InputFile
  private let layout: Layout

  /// Looks at a file whose sequences are in `range`.
  ///
  /// Throws where there is none, or one is too large.
  init(_ file: InputFile, _ range: Range<Int>, _ layout: Layout) throws(CarouselError) {
    (self.file, self.range, self.layout) = (file, range, layout)
    let places = 64
    var (bytes, count, scanned) = (0, 0, 0)
    for place in 0..<places where count == 0 || scanned < 1 << 24 {
      // From the whole file, in an order whose beginning is spread over it too.
      let start = range.lowerBound + range.count * (place * 37 % places) / places
      guard let record = try records(in: start..<range.upperBound, most: 1).first else {
        scanned += range.upperBound - start
        continue
      }
      scanned += record.start + record.bytes.count - start
      bytes += record.bytes.count
      count += 1
      if case .fixed = layout { break }
    }
    guard count > 0 else {
      throw CarouselError(.badData, "\(source): expected sequences, found none")
    }
    meanBytes = Double(bytes) / Double(count) + 1
    if case .fixed(let size) = layout { meanBytes = Double(size) }
  }

  /// The sequences that belong to a part of the file, at most `most`, in their order.
  ///
  /// One belongs to the part in which the line before it begins, the first one to the part at the beginning: so each
  /// is found without a look at what is before the part, and belongs to one part of several.
  package func records(
    in part: Range<Int>, most: Int = .max
  ) throws(CarouselError) -> [Record] {
    if case .fixed(let size) = layout { return try fixed(part, size, most) }
    var lines = try LineScanner(
      file, from: part.lowerBound, lines: range.lowerBound, before: part.upperBound,
      end: range.upperBound,
      step: most == 1 ? Int(2.5 * meanBytes) + 256 : min(max(part.count, 4096), 1 << 20))
    var result: [Record] = []
    // Where the line before began, nil where none was read, and what it was.
    var (owner, before) = (nil as Int?, Line.gap)
    if part.lowerBound <= range.lowerBound { owner = range.lowerBound }
    var (open, end) = (nil as Int?, 0)
    while let place = try lines.next() {
      let line = Line(lines[place], layout)
      guard line != .skipped else { continue }
      let begins = owner != nil && line.begins(after: before)
      if let start = open, begins || line == .gap {
        result.append(Record(start: start, bytes: Array(lines[start..<end])))
        (open, lines.keep) = (nil, nil)
      }
      if open == nil, result.count >= most || owner ?? place.lowerBound >= part.upperBound {
        return result
      }
      if begins { (open, lines.keep) = (place.lowerBound, place.lowerBound) }
      (owner, end, before) = (place.lowerBound, place.upperBound, line)
    }
    if let open { result.append(Record(start: open, bytes: Array(lines[open..<end]))) }
    return result
  }

  /// The line on which a sequence begins, counted from 1; reads the file up to there, for an error.
  package func line(of record: Record) throws(CarouselError) -> Int {
    try file.line(of: record.start)
  }

  private func fixed(
    _ part: Range<Int>, _ size: Int, _ most: Int
  ) throws(CarouselError) -> [Record] {
    let first = (part.lowerBound - range.lowerBound + size - 1) / size
    let last = min((part.upperBound - range.lowerBound + size - 1) / size, range.count / size)
    var result: [Record] = []
    for index in first..<max(first, last) where result.count < most {
      let start = range.lowerBound + index * size
      result.append(Record(start: start, bytes: try file.bytes(at: start, count: size)))
    }
    return result
  }
}

/// What a line is among those of sequences.
private enum Line: Equatable {
  /// It says nothing.
  case skipped
  /// It is between two sequences.
  case gap
  /// It is of a sequence: of that of the line before, unless that was a gap.
  case content
  /// It is a sequence.
  case whole
  /// It is of the sequence with this id.
  case of(id: [UInt8])

  init(_ line: ArraySlice<UInt8>, _ layout: RecordFile.Layout) {
    switch layout {
    case .lines(nil): self = line.isEmpty ? .skipped : .whole
    case .lines(let comment):
      let first = line.trimmingSpaces().first
      self = first == nil || first == comment ? .skipped : .whole
    case .groups(let column, let separator):
      self = line.isEmpty ? .skipped : .of(id: Array(line.cell(column, separator)))
    case .paragraphs:
      let text = line.trimmingSpaces()
      self = text.isEmpty || TaggedSet.isDocument(text) ? .gap : .content
    case .fixed: self = .skipped
    }
  }

  func begins(after before: Line) -> Bool {
    switch self {
    case .skipped, .gap: false
    case .content: before == .gap
    case .whole: true
    case .of: before != self
    }
  }
}

extension ArraySlice<UInt8> {
  /// A cell of a row, without its quotes; empty where there are fewer.
  func cell(_ column: Int, _ separator: UInt8) -> ArraySlice<UInt8> {
    var (index, result) = (0, self[endIndex...])
    forEachCell(separator) { cell in
      if index == column { result = cell }
      index += 1
      return index <= column
    }
    return result
  }

  /// The cells of a row, without their quotes.
  func cells(_ separator: UInt8) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    forEachCell(separator) {
      result.append($0)
      return true
    }
    return result
  }

  /// Calls `body` with each cell of a row until it returns false.
  private func forEachCell(_ separator: UInt8, _ body: (ArraySlice<UInt8>) -> Bool) {
    let quote = UInt8(ascii: "\"")
    var (begin, isQuoted) = (startIndex, false)
    for place in indices {
      let byte = self[place]
      if byte == quote, isQuoted || place == begin {
        isQuoted.toggle()
      } else if byte == separator, !isQuoted {
        guard body(self[begin..<place].unquoted) else { return }
        begin = place + 1
      }
    }
    _ = body(self[begin...].unquoted)
  }

  /// Without the quotes around it.
  private var unquoted: ArraySlice<UInt8> {
    let quote = UInt8(ascii: "\"")
    guard count >= 2, first == quote, last == quote else { return self }
    return dropFirst().dropLast()
  }
}
