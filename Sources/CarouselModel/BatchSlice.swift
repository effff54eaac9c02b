/// Sequences that are computed by themselves and lie side by side in a larger batch.
///
/// What is drawn at random for a sequence depends on its place in the whole batch, so that a batch gives the
/// same numbers however it is cut.
package struct BatchSlice: Hashable, Sendable {
  /// The place of the first sequence in the whole batch.
  package var first: Int
  /// The sequences of the slice, and of the whole batch.
  package var count: Int, whole: Int

  /// Names the sequences from `first` on, `count` of `whole`.
  package init(first: Int, count: Int, of whole: Int) {
    (self.first, self.count, self.whole) = (first, count, whole)
  }

  /// Where the elements `[T, count, width]` of the slice are among those `[T, whole, width]` of the batch.
  package func window(width: Int) -> RowWindow {
    RowWindow(width: count * width, stride: whole * width, offset: first * width)
  }
}

/// A part of every row of a matrix: element i of the part is element
/// `offset + (i / width)·stride + i % width` of the whole.
package struct RowWindow: Hashable, Sendable {
  /// The elements of a row of the part, and of the whole.
  package var width: Int, stride: Int
  /// Where the part begins in a row.
  package var offset: Int

  /// The element of the whole that is element `index` of the part.
  package func element(_ index: Int) -> Int {
    let (row, column) = index.quotientAndRemainder(dividingBy: width)
    return offset + row * stride + column
  }
}
