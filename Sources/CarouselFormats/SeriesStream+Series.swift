import CarouselModel

extension SeriesStream {
  /// The rows of the file, about so many.
  package var rowCount: Double { Double(range.count) / rowBytes }

  /// The numbers of a stretch of the series that a place is in, `[rows, targets + covariates]`; places go from 0 at
  /// the first row of the file to 1 behind the last one.
  ///
  /// `part` gives the part of a series of so many steps, or bytes, that the numbers behind the first `window` rows
  /// are from. A series that has none there is left aside for the next one. The rows of a series stand one behind
  /// the other: where it begins and ends is found by halving.
  ///
  /// Throws as `stretch` does, and where a series has fewer than `rows` rows.
  package func stretch(
    at place: Double, window: Int, mostCounted: Int = 1 << 18, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double] {
    var place = range.lowerBound + Int(place * Double(range.count))
    for _ in 0..<Self.mostTries {
      guard let series = try series(at: place) else {
        place = range.lowerBound
        continue
      }
      let share = Double(max(place - series.lowerBound, 0)) / Double(series.count)
      // Of a long series the rows are not counted.
      let counts = series.count <= max(mostCounted, Int(64 * Double(rows) * rowBytes))
      let found =
        counts
        ? try stretchByRows(series, at: share, window: window, part: part)
        : try stretchByBytes(series, at: share, part: part)
      if let found {
        return found
      }
      place = series.upperBound
    }
    throw CarouselError(
      .badData,
      "\(source): expected series with at least \(rows - window) steps in each part, found none among "
        + "\(Self.mostTries)")
  }

  private static var mostTries: Int { 1000 }

  /// A stretch of a part by bytes; it is there as a whole.
  private func stretchByBytes(
    _ series: Range<Int>, at share: Double, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double]? {
    let bytes = part(series.count)
    guard !bytes.isEmpty else { return nil }
    let first = series.lowerBound + bytes.lowerBound
    return try stretch(Int(share * 0x1p30), of: 1 << 30, in: first..<first + bytes.count)
  }

  /// A stretch of a part by rows, as of a series in memory: what its window reads may be before the part.
  private func stretchByRows(
    _ series: Range<Int>, at share: Double, window: Int, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double]? {
    var lines = try LineScanner(
      file, from: series.lowerBound, lines: range.lowerBound, end: series.upperBound,
      step: series.count)
    lines.keep = series.lowerBound
    var places: [Range<Int>] = []
    while let line = try lines.next() {
      if !line.isEmpty { places.append(line) }
    }
    guard places.count >= rows else {
      let id = places.first.map { self.id(lines[$0]) } ?? []
      throw CarouselError(
        .badData,
        "\(place(series.lowerBound)): expected at least \(rows) steps of the id "
          + "'\(String(decoding: id, as: UTF8.self))', found \(places.count); the steps of a series stand one "
          + "behind the other in so large a file")
    }
    let steps = part(places.count)
    let first = max(steps.lowerBound, window)
    let count = steps.upperBound - (rows - window) - first + 1
    guard count > 0 else { return nil }
    let chosen = first + min(Int(share * Double(count)), count - 1) - window
    let begin = series.lowerBound
    return try numbers(
      places[chosen..<chosen + rows].map { $0.lowerBound - begin..<$0.upperBound - begin }[...],
      Array(lines[series]), from: begin)
  }

  private func id(_ line: ArraySlice<UInt8>) -> [UInt8] {
    table.id.map { Array(line.cell($0, table.separator)) } ?? []
  }

  /// The first row that begins at a place or behind it; nil behind the last one.
  private func row(at place: Int) throws(CarouselError) -> (place: Int, id: [UInt8])? {
    var lines = try LineScanner(
      file, from: place, lines: range.lowerBound, end: range.upperBound,
      step: Int(2.5 * rowBytes) + 128)
    while let line = try lines.next() {
      if !line.isEmpty { return (line.lowerBound, id(lines[line])) }
    }
    return nil
  }

  /// Where the rows begin and end of the series with the first row behind a place.
  private func series(at place: Int) throws(CarouselError) -> Range<Int>? {
    guard let row = try row(at: place) else { return nil }
    // Away from the row in steps that double, then by halving.
    var (begin, step) = (row.place, 1 << 12)
    while begin > range.lowerBound {
      let before = max(range.lowerBound, row.place - step)
      guard try self.row(at: before)?.id == row.id else {
        begin = try firstRow(in: before..<begin) { $0 == row.id }
        break
      }
      (begin, step) = (before, 2 * step)
    }
    var end = row.place
    step = 1 << 12
    while end < range.upperBound {
      let behind = min(range.upperBound, row.place + step)
      guard behind < range.upperBound, try self.row(at: behind)?.id == row.id else {
        end = try firstRow(in: end..<behind) { $0 != row.id }
        break
      }
      (end, step) = (behind, 2 * step)
    }
    return begin..<end
  }

  /// The first row in a range whose id is one that is wanted, as it is of all rows behind it; the end of the range
  /// where there is none.
  private func firstRow(
    in range: Range<Int>, where isWanted: ([UInt8]) -> Bool
  ) throws(CarouselError) -> Int {
    var range = range
    while range.count > max(256, Int(8 * rowBytes)) {
      let middle = range.lowerBound + range.count / 2
      if let row = try row(at: middle), !isWanted(row.id) {
        range = middle..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    var lines = try LineScanner(
      file, from: range.lowerBound, lines: self.range.lowerBound, end: self.range.upperBound,
      step: range.count + Int(2.5 * rowBytes) + 128)
    while let line = try lines.next() {
      if !line.isEmpty, isWanted(id(lines[line])) { return line.lowerBound }
    }
    return self.range.upperBound
  }
}
