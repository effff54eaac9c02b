import CarouselModel

/// How the sequences of an update are cut into pieces that are computed one after the other or side by side, and
/// which of them this rank computes.
///
/// An update has K·N sequences, K batches of N cut into V shards each: K·V pieces of N/V sequences. Rank r of R
/// computes pieces r·K·V/R and those that follow. Every bit depends on the pieces, none on R.
struct BatchPieces {
  /// All pieces, and the sequences of each.
  let count: Int, size: Int
  /// The pieces that this rank computes.
  let own: Range<Int>
  let ranks: any Communicator

  /// Throws a usage error where the ranks cannot share the pieces evenly.
  ///
  /// With `single` each sequence is a piece of its own.
  init(
    _ settings: TrainingSettings, single: Bool = false, ranks: any Communicator
  ) throws(CarouselError) {
    try ranks.requireEvenShares(of: settings.shards ?? 1)
    count = single ? settings.updateSize : settings.pieceCount
    size = single ? 1 : settings.pieceSize
    self.ranks = ranks
    let each = count / ranks.count
    own = ranks.rank * each..<(ranks.rank + 1) * each
  }

  /// The sequences of a piece among those of an update.
  func sequences(_ piece: Int) -> Range<Int> { piece * size..<(piece + 1) * size }

  /// Where the sequences of a piece are in the whole batch, for what is drawn at random.
  func slice(_ piece: Int) -> BatchSlice? {
    count == 1 ? nil : BatchSlice(first: piece * size, count: size, of: count * size)
  }
}

extension Communicator {
  /// Throws a usage error where the ranks cannot share so many shards evenly.
  func requireEvenShares(of shards: Int) throws(CarouselError) {
    guard shards > 0, shards.isMultiple(of: count) else {
      throw CarouselError(
        .usage,
        "\(counted(count, "rank")) cannot share \(counted(shards, "shard")) evenly; "
          + "expected a number of ranks that divides --shards")
    }
  }
}

extension TrainingSettings {
  /// K·V, the pieces of an update that are computed by themselves.
  public var pieceCount: Int { (accumulate ?? 1) * (shards ?? 1) }
  /// N/V, the sequences of a piece.
  public var pieceSize: Int { batchSize / (shards ?? 1) }
}
