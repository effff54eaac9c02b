import CarouselFormats
import CarouselModel

/// The sequences of a file: all at once, or those of a large file some MiB after some.
struct SetChunks<Set> {
  private enum Source {
    case whole(Set)
    case parts(RecordFile, bytes: Int, ([RecordFile.Record]) throws -> Set)
  }

  private let source: Source

  /// Takes all sequences.
  init(_ set: Set) { source = .whole(set) }

  /// Takes a file with more than `mostInMemory` bytes, whose sequences `read` reads; 4 MiB at once, or those.
  init(
    _ records: RecordFile, mostInMemory: Int,
    _ read: @escaping ([RecordFile.Record]) throws -> Set
  ) {
    source = .parts(records, bytes: min(max(mostInMemory, 1), 1 << 22), read)
  }

  /// Whether there is but one chunk, with all sequences.
  var isWhole: Bool { if case .whole = source { true } else { false } }

  /// Calls `body` with the chunks in order until it returns false.
  func forEachChunk(_ body: (Set) throws -> Bool) throws {
    switch source {
    case .whole(let set): _ = try body(set)
    case .parts(let records, let bytes, let read):
      var begin = records.range.lowerBound
      while begin < records.range.upperBound {
        let end = min(begin + bytes, records.range.upperBound)
        let found = try records.records(in: begin..<end)
        if !found.isEmpty {
          guard try body(read(found)) else { return }
        }
        begin = end
      }
    }
  }
}

extension SetChunks<SequenceSet> {
  /// The sequences of a file that a model is measured on, or predicts; a file with more than `mostInMemory` bytes
  /// is read in chunks.
  init(
    _ file: ExampleFile, _ description: DataDescription, requiresLabels: Bool, mostInMemory: Int
  ) throws(CarouselError) {
    let settings = file.settings(description.settings)
    let labels = requiresLabels ? file.labels : nil
    guard try SequenceStream.canStream(file.path, above: mostInMemory) else {
      self.init(
        try SequenceSet(
          contentsOf: file.path, columns: settings.columns, labels: labels,
          channels: description.channels, requiresLabels: requiresLabels, missing: settings.missing
        ))
      return
    }
    let stream = try SequenceStream(
      file.path, columns: settings.columns, labels: labels, channels: description.channels,
      requiresLabels: requiresLabels, missing: settings.missing)
    self.init(stream.records, mostInMemory: mostInMemory) { records in
      try stream.set(records) { sequence throws(CarouselError) in
        _ = try ClassExamples(sequence, description, knowsLabels: requiresLabels)
      }
    }
  }
}

extension SetChunks<TaggedSet> {
  /// The same of words.
  init(
    _ file: ExampleFile, _ description: DataDescription, requiresTags: Bool, mostInMemory: Int
  ) throws(CarouselError) {
    let settings = file.settings(description.settings)
    guard try SequenceStream.canStream(file.path, above: mostInMemory) else {
      self.init(try TaggedSet(file.path, settings, requiresTags: requiresTags))
      return
    }
    let stream = try TaggedStream(
      file.path, columns: settings.columns, word: settings.word, requiresTags: requiresTags)
    let numbers = TagNumbers(description)
    self.init(stream.records, mostInMemory: mostInMemory) { records in
      try stream.set(records) { sequence throws(CarouselError) in
        _ = try TagExamples(sequence, numbers, knowsTags: requiresTags)
      }
    }
  }
}
