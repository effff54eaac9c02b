/// The order in which the gradients of a batch's pieces are added: a binary tree that depends on their number
/// alone.
///
/// A block of 2ᵏ pieces that begins at a multiple of 2ᵏ is the sum of its two halves, left plus right. Where the
/// number of pieces is not a power of two, several blocks are left; they are added from the right. A rank adds up
/// the blocks that its own pieces fill. `combine` makes the same sum from the blocks of all ranks as from single
/// pieces.
enum SumTree {
  /// Whether two blocks side by side are the halves of one.
  static func areHalves(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    left.count == right.count && left.upperBound == right.lowerBound
      && left.lowerBound.isMultiple(of: 2 * left.count)
  }

  /// The blocks that pieces side by side are added up to, without their neighbours.
  static func blocks(of pieces: Range<Int>) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for piece in pieces {
      var block = piece..<piece + 1
      while let last = result.last, areHalves(last, block) {
        result.removeLast()
        block = last.lowerBound..<block.upperBound
      }
      result.append(block)
    }
    return result
  }

  /// The sum of blocks in rising order; nil where there is none.
  ///
  /// `add` adds its second argument to the first and returns the sum.
  static func combine<Value>(
    _ blocks: [(pieces: Range<Int>, value: Value)], add: (Value, Value) throws -> Value
  ) rethrows -> Value? {
    var stack: [(pieces: Range<Int>, value: Value)] = []
    for block in blocks {
      var block = block
      while let last = stack.last, areHalves(last.pieces, block.pieces) {
        stack.removeLast()
        block = (
          last.pieces.lowerBound..<block.pieces.upperBound, try add(last.value, block.value)
        )
      }
      stack.append(block)
    }
    guard var sum = stack.popLast()?.value else { return nil }
    while let left = stack.popLast() { sum = try add(left.value, sum) }
    return sum
  }

  /// Numbers added up in the order of the tree.
  static func sum(_ values: [Double]) -> Double {
    combine(values.enumerated().map { ($0..<$0 + 1, $1) }, add: +) ?? 0
  }
}
