import CarouselModel

/// Sequences of words in a file that is too large to be read, each read when it is asked for, as a `TaggedSet` reads
/// it.
package struct TaggedStream: Sendable {
  /// Where the sequences are.
  package let records: RecordFile

  private let parse: @Sendable (RecordFile.Record, _ line: Int) throws(CarouselError) -> TaggedSet

  /// Opens columns that white space separates, or a table where `columns` name an id; the arguments are those of a
  /// `TaggedSet`.
  ///
  /// Throws as that does where the header or the first sequence is wrong.
  package init(
    _ path: String, columns: SequenceColumns, word: String?, requiresTags: Bool = true
  ) throws(CarouselError) {
    let file = try InputFile(path)
    if let id = columns.id {
      let table = try TableReader(path, hasHeader: columns.hasHeader)
      let header = table.header
      records = try RecordFile(
        file, table.rows(of: file),
        .groups(column: try table.index(of: id, option: "--id"), separator: header.separator))
      parse = { record, line throws(CarouselError) in
        try TaggedSet(
          TableReader(record.bytes, of: header, line: line), columns, word: word,
          requiresTags: requiresTags)
      }
      _ = try records.locating(records.first(), parse)
      return
    }
    let begin = try file.bytes(at: 0, count: min(file.byteCount, 3)) == [0xEF, 0xBB, 0xBF] ? 3 : 0
    records = try RecordFile(file, begin..<file.byteCount, .paragraphs)
    let first = try records.first()
    let line = first.bytes.prefix { $0 != UInt8(ascii: "\n") }
    let width = line.split { $0 == 32 || 9...13 ~= $0 }.count
    parse = { record, line throws(CarouselError) in
      try TaggedSet(
        columns: record.bytes[...], of: path, line: line, width: width, requiresTags: requiresTags)
    }
    _ = try records.locating(first, parse)
  }

  /// Some sequences; what is wrong in one, or what `check` finds so, is said with its line.
  package func set(
    _ chosen: [RecordFile.Record],
    check: (TaggedSet) throws(CarouselError) -> Void = { _ throws(CarouselError) in }
  ) throws(CarouselError) -> TaggedSet {
    var result = TaggedSet(source: records.source)
    for record in chosen {
      result.append(
        try records.locating(record) { record, line throws(CarouselError) in
          let set = try parse(record, line)
          try check(set)
          return set
        })
    }
    return result
  }
}
