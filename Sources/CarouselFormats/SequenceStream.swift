import CarouselModel

/// Sequences of a file that is too large to be read, each read when it is asked for, as a `SequenceSet` reads it.
package struct SequenceStream: Sendable {
  /// Where the sequences are.
  package let records: RecordFile
  /// What the numbers of a step are called.
  package let channels: [String]
  /// Whether all sequences have the same steps.
  package let haveOneLength: Bool
  /// The classes, where the file names them all.
  package let classes: [String]?

  private let requiresLabels: Bool
  private let parse: Parse

  /// Opens a file; the arguments are those of a `SequenceSet`.
  ///
  /// Throws as that does where the header or the first sequence is wrong.
  package init(
    _ path: String, columns: SequenceColumns, labels: String? = nil, channels: [String]? = nil,
    requiresLabels: Bool = true, missing: MissingValues = .error
  ) throws(CarouselError) {
    let file = try InputFile(path)
    let format = try SequenceSet.Format(of: path)
    if format == .timeSeries {
      try self.init(timeSeries: file, requiresLabels, missing)
    } else if format == .images {
      var labels = labels
      if labels == nil, requiresLabels { labels = try SequenceSet.labelFile(of: path) }
      try self.init(images: file, labels: labels)
    } else {
      try self.init(
        table: file, columns, channels: columns.id == nil ? nil : channels, requiresLabels, missing)
    }
  }

  /// The formats of files that can be left where they are.
  private static let formats: Set<SequenceSet.Format> = [.timeSeries, .images, .table]

  /// Whether a file above `limit` bytes can be left where it is; what is packed cannot.
  package static func canStream(_ path: String, above limit: Int) throws(CarouselError) -> Bool {
    guard path != "-", FileKind(at: path) == .file else { return false }
    let file = try InputFile(path)
    guard file.byteCount > limit else { return false }
    let head = try file.bytes(at: 0, count: min(file.byteCount, 4))
    let format = try SequenceSet.Format(of: path)
    return formats.contains(format) && !Gzip.isPacked(head)
  }

  /// Some sequences; what is wrong in one, or what `check` finds so, is said with its line.
  package func set(
    _ chosen: [RecordFile.Record],
    check: (SequenceSet) throws(CarouselError) -> Void = { _ throws(CarouselError) in }
  ) throws(CarouselError) -> SequenceSet {
    var result = SequenceSet(source: records.source, channels: channels)
    for record in chosen {
      let sequence = try records.locating(record) { record, line throws(CarouselError) in
        let set = try parse(record, line)
        guard !requiresLabels || set.labels.allSatisfy({ !$0.isEmpty }) else {
          throw CarouselError(.badData, "\(set.place(0)): expected a class, found none")
        }
        try check(set)
        return set
      }
      result.hasOneScale = sequence.hasOneScale
      result.append(sequence)
    }
    return result
  }

  private init(
    table file: InputFile, _ columns: SequenceColumns, channels: [String]?, _ requiresLabels: Bool,
    _ missing: MissingValues
  ) throws(CarouselError) {
    let table = try TableReader(file.path, hasHeader: columns.hasHeader)
    let header = table.header
    var layout = RecordFile.Layout.lines(comment: nil)
    if let id = columns.id {
      layout = .groups(column: try table.index(of: id, option: "--id"), separator: header.separator)
    }
    records = try RecordFile(file, table.rows(of: file), layout)
    haveOneLength = columns.id == nil
    self.requiresLabels = requiresLabels
    classes = nil
    parse = { record, line throws(CarouselError) in
      try SequenceSet(
        TableReader(record.bytes, of: header, line: line), columns, channels: channels,
        requiresLabel: requiresLabels, missing: missing)
    }
    let first = try records.first()
    self.channels = try records.locating(first, parse).channels
  }

  private init(
    timeSeries file: InputFile, _ requiresLabels: Bool, _ missing: MissingValues
  ) throws(CarouselError) {
    var header = TimeSeriesHeader()
    let begin = try header.read(file)
    guard !header.classes.isEmpty || !requiresLabels else {
      throw CarouselError(
        .badData, "\(file.path): expected '@classLabel true' with the classes, found a file without"
      )
    }
    records = try RecordFile(
      file, begin..<file.byteCount, .lines(comment: UInt8(ascii: "#")))
    func parse(_ header: TimeSeriesHeader) -> Parse {
      { record, line throws(CarouselError) in
        var set = SequenceSet(source: file.path, channels: [])
        try set.append(
          record.bytes[...].trimmingSpaces(), header, missing, "\(file.path): line \(line)")
        set.lines.append(line)
        return set
      }
    }
    let first = try records.locating(records.first(), parse(header))
    header.follow(first)
    (channels, haveOneLength) = (first.channels, header.isEqualLength)
    self.requiresLabels = requiresLabels
    classes = header.classes.isEmpty ? nil : header.classes
    self.parse = parse(header)
  }

  private typealias Parse =
    @Sendable (RecordFile.Record, _ line: Int) throws(CarouselError) ->
    SequenceSet

  private init(images file: InputFile, labels path: String?) throws(CarouselError) {
    let images = try IDXHeader(file, dimensions: 3, "images")
    let (count, rows, width) = (images.sizes[0], images.sizes[1], images.sizes[2])
    let range = images.range
    let labels = try path.map { path throws(CarouselError) in
      let labels = try InputFile(path)
      let header = try IDXHeader(labels, dimensions: 1, "labels")
      try header.require(count, of: file.path, in: path)
      return (file: labels, range: header.range)
    }
    var found = [Bool](repeating: false, count: 256)
    if let labels {
      try TextContent(files: [labels.file.path]).part(labels.range).forEachChunk { _, bytes in
        for byte in bytes { found[Int(byte)] = true }
        return true
      }
    }
    classes = labels == nil ? nil : found.indices.filter { found[$0] }.map(String.init)
    haveOneLength = true
    requiresLabels = labels != nil
    let channels = (1...width).map(String.init)
    self.channels = channels
    records = try RecordFile(file, range, .fixed(rows * width))
    parse = { record, _ throws(CarouselError) in
      var set = SequenceSet(source: file.path, channels: channels)
      set.hasOneScale = true
      set.values = record.bytes.map { Float($0) / 255 }
      set.starts.append(rows)
      if let labels {
        let index = (record.start - range.lowerBound) / (rows * width)
        set.labels = [
          "\(try labels.file.bytes(at: labels.range.lowerBound + index, count: 1)[0])"
        ]
      }
      return set
    }
  }
}

extension TableReader {
  /// Where the rows behind the header are in the file.
  func rows(of file: InputFile) throws(CarouselError) -> Range<Int> {
    let mark = try file.bytes(at: 0, count: min(file.byteCount, 3)) == [0xEF, 0xBB, 0xBF]
    var lines = try LineScanner(file, from: 0, lines: 0, end: file.byteCount, step: 1 << 16)
    var begin = mark && headerLines == 0 ? 3 : 0
    for _ in 0..<headerLines where try lines.next() != nil { begin = lines.position }
    guard begin < file.byteCount else {
      throw CarouselError(.badData, "\(name): expected rows behind the header, found none")
    }
    return begin..<file.byteCount
  }
}

extension RecordFile {
  /// The first sequence.
  func first() throws(CarouselError) -> Record { try records(in: range, most: 1)[0] }

  /// Reads a sequence, and reads it again with its line, which takes a while to find, for a sentence about what is
  /// wrong.
  package func locating<Result>(
    _ record: Record, _ body: (Record, _ line: Int) throws(CarouselError) -> Result
  ) throws(CarouselError) -> Result {
    do {
      return try body(record, 1)
    } catch {
      return try body(record, line(of: record))
    }
  }
}

extension TimeSeriesHeader {
  /// Reads the lines of a file up to `@data`, and returns where the cases begin.
  mutating func read(_ file: InputFile) throws(CarouselError) -> Int {
    var lines = try LineScanner(file, from: 0, lines: 0, end: file.byteCount, step: 1 << 14)
    var number = 0
    while let place = try lines.next() {
      number += 1
      if try take(lines[place].trimmingSpaces(skippingMark: number == 1), file.path, number) {
        return lines.position
      }
    }
    throw Self.withoutData(file.path)
  }
}
