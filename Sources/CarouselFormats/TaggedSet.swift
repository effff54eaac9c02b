import CarouselModel

/// Sequences of words, each with a tag where the file has them.
public struct TaggedSet: Sendable {
  /// The words of each sequence.
  public var words: [[String]] = []
  /// The tag of each word; empty where the file has none.
  public var tags: [[String]] = []
  /// The id of each sequence; empty where the file has none.
  public var ids: [String] = []
  /// The line on which each sequence begins.
  public var lines: [Int] = []
  /// The file.
  public var source: String

  /// The number of sequences.
  public var count: Int { words.count }

  /// Begins without a sequence.
  package init(source: String) { self.source = source }

  /// Reads columns separated by white space, a word a line, an empty line between sequences (CoNLL): the
  /// first column holds the words, the last one the tags.
  ///
  /// Lines that begin with `-DOCSTART-` are skipped. Without `requiresTags` a single column is enough, and
  /// whatever stands in others is left aside. Throws where a line has another number of columns than the
  /// first.
  public init(columns path: String, requiresTags: Bool = true) throws(CarouselError) {
    let bytes = try [UInt8](contentsOfInput: path)
    try self.init(
      columns: bytes[...], of: path == "-" ? "standard input" : path, line: 1, width: nil,
      requiresTags: requiresTags)
    guard count > 0 else {
      throw CarouselError(.badData, "\(source): expected words, found none")
    }
  }

  /// Reads columns from memory, the first of whose lines is `line`; nil takes as many columns as that has.
  init(
    columns bytes: ArraySlice<UInt8>, of source: String, line first: Int, width known: Int?,
    requiresTags: Bool
  ) throws(CarouselError) {
    self.init(source: source)
    var width = known
    var isInside = false
    var number = first - 1
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let cells = line.trimmingSpaces(skippingMark: number == 1).split { $0 == 32 || 9...13 ~= $0 }
      guard let first = cells.first, !Self.isDocument(first) else {
        isInside = false
        continue
      }
      let expected = width ?? cells.count
      guard cells.count == expected, !requiresTags || expected >= 2 else {
        throw CarouselError(
          .badData,
          "\(source): line \(number): expected \(expected < 2 ? "a word and its tag" : "\(expected) columns"), "
            + "found \(counted(cells.count, "column"))")
      }
      width = expected
      if !isInside { begin(line: number, hasTags: expected >= 2) }
      isInside = true
      append(
        String(decoding: cells[0], as: UTF8.self),
        expected >= 2 ? String(decoding: cells[expected - 1], as: UTF8.self) : nil)
    }
  }

  /// Reads a CSV file in which each row is a word: `columns.id` tells sequences apart, `columns.label` has
  /// the tags, and `word` names the column of the words; nil takes the one that is left.
  public init(
    table path: String, columns: SequenceColumns, word wordName: String?, requiresTags: Bool = true
  ) throws(CarouselError) {
    try self.init(
      TableReader(path, hasHeader: columns.hasHeader), columns, word: wordName,
      requiresTags: requiresTags)
    guard count > 0 else {
      throw CarouselError(.badData, "\(source): expected rows behind the header, found none")
    }
  }

  /// Reads the rows of a table that are still to come.
  init(
    _ table: TableReader, _ columns: SequenceColumns, word wordName: String?, requiresTags: Bool
  ) throws(CarouselError) {
    self.init(source: table.name)
    guard let idName = columns.id else {
      throw CarouselError(
        .usage, "\(source): expected --id with the column that tells sequences apart")
    }
    let id = try table.index(of: idName, option: "--id")
    var label: Int?
    if let name = columns.label, requiresTags || table.columns.contains(name) {
      label = try table.index(of: name, option: "--label")
    }
    var time: Int?
    if let name = columns.time { time = try table.index(of: name, option: "--time") }
    let rest = table.columns.indices.filter { ![id, label, time].contains($0) }
    var word = rest.first
    if let wordName { word = try table.index(of: wordName, option: "--word") }
    guard let word, wordName != nil || rest.count == 1 else {
      throw CarouselError(
        .usage,
        "\(source): expected one column of words besides --id, --label and --time, found "
          + "\(rest.map { table.columns[$0] }.joined(separator: ", ")); --word names it")
    }
    var groups: [String: Int] = [:]
    var rows: [[TimedRow]] = []
    var read: [(word: String, tag: String?)] = []
    while try table.next() {
      let key = table.text(id)
      if groups[key] == nil {
        groups[key] = rows.count
        rows.append([])
        ids.append(key)
        lines.append(table.line)
      }
      rows[groups[key] ?? 0].append(
        TimedRow(row: read.count, line: table.line, time: try table.time(time)))
      read.append((table.text(word), label.map(table.text)))
    }
    for steps in rows {
      let steps = try TimedRow.ordered(steps, of: table, column: time)
      words.append(steps.map { read[$0.row].word })
      if label != nil { tags.append(steps.map { read[$0.row].tag ?? "" }) }
    }
  }

  /// Whether a line, or its first word, begins a document.
  static func isDocument(_ line: ArraySlice<UInt8>) -> Bool {
    let mark = "-DOCSTART-".utf8
    guard line.starts(with: mark) else { return false }
    return line.dropFirst(mark.count).first.map { $0 == 32 || 9...13 ~= $0 } ?? true
  }

  private mutating func begin(line: Int, hasTags: Bool) {
    words.append([])
    if hasTags { tags.append([]) }
    lines.append(line)
  }

  private mutating func append(_ word: String, _ tag: String?) {
    words[words.count - 1].append(word)
    if let tag { tags[tags.count - 1].append(tag) }
  }

  /// Adds the sequences of another set.
  package mutating func append(_ other: TaggedSet) {
    words += other.words
    tags += other.tags
    ids += other.ids
    lines += other.lines
  }

  /// The sequences at `indices`, in that order.
  public func selecting(_ indices: [Int]) -> TaggedSet {
    var result = TaggedSet(source: source)
    result.words = indices.map { words[$0] }
    if !tags.isEmpty { result.tags = indices.map { tags[$0] } }
    if !ids.isEmpty { result.ids = indices.map { ids[$0] } }
    result.lines = indices.map { lines[$0] }
    return result
  }
}
