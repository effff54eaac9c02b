import CarouselModel

/// What becomes of cells without a number: `--missing`.
public enum MissingValues: String, Hashable, Sendable, Codable, CaseIterable {
  /// They are refused, with their place.
  case error
  /// They are 0.
  case zero
  /// They repeat the number before them in the same sequence and channel; where none is before them, the
  /// first one after, and 0 where there is none at all.
  case forward

  /// What stands for a missing number until `fill`.
  static let mark = Float.nan

  /// Replaces the marks in rows of `width` numbers, one channel after the other.
  func fill(_ values: inout [Float], rows: Range<Int>, width: Int) {
    for channel in 0..<width {
      var last: Float?
      if self == .forward {
        last = rows.first { !values[$0 * width + channel].isNaN }.map {
          values[$0 * width + channel]
        }
      }
      for row in rows {
        let index = row * width + channel
        if values[index].isNaN {
          values[index] = self == .forward ? last ?? 0 : 0
        } else {
          last = values[index]
        }
      }
    }
  }

  /// The sentence for a missing number at a place.
  static func refusal(_ place: String) -> CarouselError {
    CarouselError(
      .badData,
      "\(place): expected a number, found none; --missing zero or forward says what stands for it")
  }
}
