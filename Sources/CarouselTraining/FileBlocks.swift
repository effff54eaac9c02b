import CarouselFormats
import CarouselModel

/// Blocks of a large file that are one part of the data.
///
/// A sequence belongs to the block in which the line before it begins, so that parts share none.
struct FileBlocks: Sendable {
  let records: RecordFile
  /// Where the blocks are, rising.
  let blocks: [Range<Int>]

  /// The most blocks of a file; each has room for some sequences.
  private static let most = 4096

  /// Takes a file as one block.
  init(whole records: RecordFile) { self.init(records: records, blocks: [records.range]) }

  private init(records: RecordFile, blocks: [Range<Int>]) {
    (self.records, self.blocks) = (records, blocks)
  }

  /// Divides a file into what is learnt from and what is held out.
  ///
  /// Shares are held out in blocks that the seed draws, as many from the beginning of the file as from its middle
  /// and its end: so a file that is sorted by class is divided fairly.
  static func parts(
    of records: RecordFile, _ settings: DataSettings, seed: UInt64
  ) throws(CarouselError) -> (training: FileBlocks, validation: FileBlocks, test: FileBlocks) {
    let (range, room) = (records.range, 4 * records.meanBytes)
    let count = min(max(Int(Double(range.count) / room), 1), most)
    var rest = (0..<count).map { block in
      range.lowerBound + range.count * block / count..<range.lowerBound
        + range.count * (block + 1) / count
    }
    var drawn: [[Range<Int>]] = []
    for (number, part) in [settings.test, settings.validation].enumerated() {
      let share = part.share
      let wanted = share > 0 ? max(1, Int((Double(count) * share).rounded())) : 0
      guard wanted < rest.count else {
        throw CarouselError(
          .badData,
          "\(records.source): expected more sequences than are held out, found some "
            + "\(Int(Double(range.count) / records.meanBytes))")
      }
      let random = Philox(seed: seed, stream: RandomStream.split(number))
      let chosen = (0..<wanted).map { place in
        let stretch = place * rest.count / wanted..<(place + 1) * rest.count / wanted
        return stretch.lowerBound + Int(random.uniform(place) * Double(stretch.count))
      }
      drawn.append(chosen.map { rest[$0] })
      let taken = Set(chosen)
      rest = rest.indices.filter { !taken.contains($0) }.map { rest[$0] }
    }
    return (
      FileBlocks(records: records, blocks: rest), FileBlocks(records: records, blocks: drawn[1]),
      FileBlocks(records: records, blocks: drawn[0])
    )
  }

  /// The sequences, about so many.
  var count: Int {
    let bytes = blocks.reduce(0) { $0 + $1.count }
    return blocks.isEmpty ? 0 : max(1, Int(Double(bytes) / records.meanBytes))
  }

  /// The first sequence behind a place, from 0 for the first block's beginning to 1 for the last one's end, and the
  /// bytes that were looked at.
  ///
  /// Behind the last one of a block comes its first one, and where it has none that of a block elsewhere.
  func record(
    at place: Double
  ) throws(CarouselError) -> (record: RecordFile.Record, scanned: Int) {
    let exact = place * Double(blocks.count)
    let first = min(Int(exact), blocks.count - 1)
    let begin = Int((exact - Double(first)) * Double(blocks[first].count))
    var scanned = 0
    func find(_ block: Range<Int>) throws(CarouselError) -> RecordFile.Record? {
      let found = try records.records(in: block, most: 1).first
      scanned += found.map { $0.start + $0.bytes.count - block.lowerBound } ?? block.count
      return found
    }
    if let found = try find(blocks[first].dropFirst(begin)) { return (found, scanned) }
    // A number without a common divisor reaches all blocks.
    let step = Self.stride(blocks.count)
    for number in blocks.indices {
      let block = blocks[(first + number * step) % blocks.count]
      if let found = try find(block) { return (found, scanned) }
    }
    throw CarouselError(
      .badData, "\(records.source): expected sequences in each part of the file, found none")
  }

  /// A number near the golden section of `count` that has no divisor in common with it.
  private static func stride(_ count: Int) -> Int {
    func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
    return (count * 5 / 8...count).first { $0 > 0 && divisor($0, count) == 1 } ?? 1
  }

  /// Sequences spread evenly, at most `most`; not many more than `bytes` of the file are looked at.
  func sample(most: Int = 3000, bytes: Int = 1 << 24) throws(CarouselError) -> [RecordFile.Record] {
    var result: [RecordFile.Record] = []
    var (known, size) = (Set<Int>(), 0)
    for number in 0..<most where size < bytes || number < 16 {
      // Multiples of the golden ratio: however many there are, they are spread evenly.
      let place = Double(number) * 0.618_033_988_749_895
      let (record, scanned) = try record(at: place - place.rounded(.down))
      size += scanned
      if known.insert(record.start).inserted { result.append(record) }
    }
    return result.sorted { $0.start < $1.start }
  }

  /// Throws where the sequences of a sample are too long, or have not one id each.
  func check(
    _ sample: [RecordFile.Record], ids: [String], _ length: (Int) -> Int
  ) throws(CarouselError) {
    try requireLengths(sample, length)
    try requireOneBehindAnother(sample, ids: ids)
  }

  /// Throws where a sequence has more steps than a pass can have.
  func requireLengths(
    _ sequences: [RecordFile.Record], _ length: (Int) -> Int
  ) throws(CarouselError) {
    let most = TrainingSettings.maximumSize
    for (index, sequence) in sequences.enumerated() where length(index) > most {
      throw CarouselError(
        .badData,
        "\(records.source): line \(try records.line(of: sequence)): expected a sequence of at most \(most) "
          + "steps, found \(length(index))")
    }
  }

  /// Throws where sequences of a sample have the same id: its rows are then not one behind the other.
  func requireOneBehindAnother(
    _ sample: [RecordFile.Record], ids: [String]
  ) throws(CarouselError) {
    var known: [String: Int] = [:]
    for (index, id) in ids.enumerated() {
      guard let earlier = known.updateValue(index, forKey: id) else { continue }
      throw CarouselError(
        .badData,
        "\(records.source): line \(try records.line(of: sample[index])): expected the rows of the id '\(id)' "
          + "one behind the other, since so large a file is read sequence by sequence, found others on line "
          + "\(try records.line(of: sample[earlier]))")
    }
  }
}

extension HeldOut? {
  /// The share; 0 of a file of its own.
  var share: Double {
    guard case .share(let share) = self else { return 0 }
    return share
  }
}
