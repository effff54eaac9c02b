import CarouselModel

/// The gradients of an update's pieces, of which each rank computes some, added up in the order of `SumTree`.
///
/// Each rank adds up the blocks of its own pieces as they come. Then every rank is the owner of a segment of the
/// gradient: it receives that segment of all blocks, adds them, and sends the sum to all. That is a ring's traffic,
/// 2·(R − 1)/R gradients for each rank where its pieces are one block.
///
/// The gradient is exchanged bucket by bucket, from the last parameters to the first, as the backward pass of
/// the rank's last piece makes them final: the device computes the layers below meanwhile.
///
/// Gradients may also be those of means over different numbers of things, each with its weight: the update then
/// has the gradient of the mean over all.
final class GradientTree<B: Backend> {
  private typealias Block = (pieces: Range<Int>, value: B.Buffer)

  private let store: ParameterStore<B>
  private let pieces: BatchPieces
  private var backend: B { store.backend }
  private var ranks: any Communicator { pieces.ranks }
  /// The blocks of this rank so far, and buffers that none of them needs.
  private var blocks: [Block] = []
  private var spare: [B.Buffer] = []
  /// The losses of this rank's pieces, each at a multiple of `stride`.
  private let losses: B.Buffer
  private let stride: Int
  /// How many pieces of the update that was queued last there are, of all ranks.
  private var present = 0
  /// The loss of that update where it is known already.
  private var loss: Double?
  /// What the means of this rank's pieces weigh, and of all pieces together; nil where losses are sums.
  private var weights: [Double]?, weight = 1.0

  /// The parts of the gradient that are exchanged at once, the last one first; the same on all ranks.
  private let buckets: [Range<Int>]
  /// The parts of this rank's blocks that are on their way from the device, by bucket.
  private var reads: [[() throws -> Void]] = []
  /// What they fill, a whole gradient for each block.
  private var own: [TransferMemory] = []
  /// A bucket's segment of all ranks' blocks; the sum of all pieces.
  private let arrivals = TransferMemory(), sum = TransferMemory()
  /// The buffers through which the gradient of the last piece goes, see `begin`; nil while others are added.
  private var chain: [B.Buffer]?

  /// With `ofMeans` each piece comes with its weight.
  init(_ store: ParameterStore<B>, _ pieces: BatchPieces, ofMeans: Bool = false) throws {
    (self.store, self.pieces) = (store, pieces)
    weights = ofMeans ? [] : nil
    stride = store.backend.sliceAlignment
    losses = try store.backend.makeBuffer(count: pieces.own.count * stride)
    buckets = pieces.ranks.count > 1 ? GradientBuckets.ranges(store) : []
  }

  /// Prepares to add a piece whose pass is about to be queued.
  ///
  /// Returns what the pass has to call with an offset, once the gradients in the store from there on are queued:
  /// of the rank's last piece, where there are other ranks. `add` follows in any case. Of means nothing is to be
  /// called: they are weighed first.
  func begin(piece: Int, isLast: Bool) throws -> ((Int) throws -> Void)? {
    if piece == pieces.own.lowerBound { release() }
    guard isLast, ranks.count > 1, weights == nil else { return nil }
    var block = piece..<piece + 1
    var chain = [store.gradients]
    while let last = blocks.last, SumTree.areHalves(last.pieces, block) {
      blocks.removeLast()
      chain.append(last.value)
      block = last.pieces.lowerBound..<block.upperBound
    }
    blocks.append((block, chain[chain.count - 1]))
    spare += chain.dropFirst().dropLast()
    self.chain = chain
    return { [unowned self] offset in try queueReads(from: offset) }
  }

  /// Queues that the gradient in the store is added as that of a piece, with its loss.
  ///
  /// The pieces of a rank come in rising order, each after its `begin`; of a mean `weight` is what it divided by.
  func add(piece: Int, loss: B.Buffer?, weight: Double = 1) throws {
    let index = piece - pieces.own.lowerBound
    weights?.append(weight)
    try scaleGradients(by: weight)
    if let loss {
      let place = try backend.slice(losses, offset: index * stride, count: 1)
      try backend.copy(loss, to: place, count: 1)
    }
    guard chain == nil else { return }
    let own = piece..<piece + 1
    guard let last = blocks.last, SumTree.areHalves(last.pieces, own) else {
      let buffer = try spare.popLast() ?? backend.makeBuffer(count: store.count)
      try backend.copy(store.gradients, to: buffer, count: store.count)
      return blocks.append((own, buffer))
    }
    blocks.removeLast()
    try backend.add(store.gradients, to: last.value, count: store.count)
    var block: Block = (last.pieces.lowerBound..<own.upperBound, last.value)
    while let last = blocks.last, SumTree.areHalves(last.pieces, block.pieces) {
      blocks.removeLast()
      block = (last.pieces.lowerBound..<block.pieces.upperBound, try join(last.value, block.value))
    }
    blocks.append(block)
  }

  /// Leaves the sum of the first `present` pieces, which are all that have sequences, in the store.
  ///
  /// With several ranks it waits for the device and for the others.
  func finish(present: Int) throws {
    self.present = present
    loss = nil
    if pieces.own.lowerBound >= present { release() }
    if let weights {
      let all = try gatherOfPieces(weights)
      let sum = all.reduce(0, +)
      // Where nothing counts every gradient is 0.
      weight = sum > 0 ? sum : 1
    }
    if ranks.count > 1 { try exchange() } else { try addAll() }
    try scaleGradients(by: 1 / weight)
    if ranks.count > 1 { loss = try gatherLoss() }
  }

  /// Leaves the sum of the blocks in the store, where there are no other ranks.
  private func addAll() throws {
    guard let sum = try SumTree.combine(blocks, add: join) else { return }
    blocks = [(0..<present, sum)]
    try backend.copy(sum, to: store.gradients, count: store.count)
  }

  /// Multiplies the gradients in the store.
  private func scaleGradients(by scale: Double) throws {
    guard scale != 1 else { return }
    let scaled = try spare.popLast() ?? backend.makeBuffer(count: store.count)
    try backend.elementwise(
      .unary(.affine(scale: scale, shift: 0)), [(store.gradients, StridedView([store.count]))],
      into: scaled, extents: [store.count])
    try backend.copy(scaled, to: store.gradients, count: store.count)
    spare.append(scaled)
  }

  /// Exchanges the gradients with the other ranks, bucket by bucket.
  private func exchange() throws {
    try queueReads(from: 0)
    sum.reserve(store.count * elementBytes)
    for (index, bucket) in buckets.enumerated() {
      for read in reads[index] { try read() }
      try ranks.measured(isHidden: index < buckets.count - 1) { try exchange(bucket) }
    }
    // Not before: writes wait for what is queued.
    let total = sum[bytes(0..<store.count)].bytes
    try backend.write(UnsafeRawBufferPointer(total), to: store.gradients)
    (reads, chain) = ([], nil)
  }

  /// The loss of the update that was queued last; may wait for the device.
  func readLoss() throws -> Double { try loss ?? gatherLoss() }

  /// Adds the second buffer to the first.
  private func join(_ left: B.Buffer, _ right: B.Buffer) throws -> B.Buffer {
    try backend.add(right, to: left, count: store.count)
    spare.append(right)
    return left
  }

  private func release() {
    spare += blocks.map(\.value).filter { $0 !== store.gradients }
    blocks = []
    if weights != nil { weights = [] }
  }

  /// The sum of the losses of all pieces, in the order of the tree; the mean of those that are means.
  private func gatherLoss() throws -> Double {
    let found = try backend.read(losses, count: pieces.own.count * stride)
    var own = pieces.own.indices.map { found[($0 - pieces.own.lowerBound) * stride] }
    if let weights { own = zip(own, weights).map { $0 * $1 } }
    return SumTree.sum(try gatherOfPieces(own)) / weight
  }

  /// A number of each piece of the update, of all ranks; `own` may lack those of this rank that are not present.
  private func gatherOfPieces(_ own: [Double]) throws -> [Double] {
    let each = pieces.own.count
    let padded = own + [Double](repeating: 0, count: each - own.count)
    let counts = [Int](repeating: each, count: ranks.count)
    return Array(try ranks.gather(padded, counts: counts).prefix(present))
  }

  // MARK: Between ranks

  /// Queues what makes the gradients from an offset on those of this rank's blocks, and their way to the host.
  private func queueReads(from offset: Int) throws {
    while reads.count < buckets.count, buckets[reads.count].lowerBound >= offset {
      let bucket = buckets[reads.count]
      func slice(_ buffer: B.Buffer) throws -> B.Buffer {
        try backend.slice(buffer, offset: bucket.lowerBound, count: bucket.count)
      }
      let chain = try (chain ?? []).map(slice)
      for (part, sum) in zip(chain, chain.dropFirst()) {
        try backend.add(part, to: sum, count: bucket.count)
      }
      while own.count < blocks.count {
        own.append(TransferMemory(byteCount: store.count * elementBytes))
      }
      reads.append(
        try zip(blocks, own).map {
          try backend.readLater(slice($0.value), into: $1[bytes(bucket)])
        })
    }
  }

  private var elementBytes: Int { backend.elementType.byteCount }

  /// Where elements lie in memory.
  private func bytes(_ elements: Range<Int>) -> Range<Int> {
    elements.lowerBound * elementBytes..<elements.upperBound * elementBytes
  }

  /// Adds up a bucket over all pieces, from `own` to `sum`.
  private func exchange(_ bucket: Range<Int>) throws {
    let each = pieces.own.count
    let all = (0..<ranks.count).map { rank in
      SumTree.blocks(of: min(rank * each, present)..<min((rank + 1) * each, present))
    }
    let segments = bucket.segments(ranks.count, alignment: backend.sliceAlignment).map { bytes($0) }
    let size = segments[ranks.rank].count
    arrivals.reserve(all.reduce(0) { $0 + $1.count } * size)
    // Where in `arrivals` each block is.
    var received: [(pieces: Range<Int>, value: Int)] = []
    for index in 0..<(all.map(\.count).max() ?? 0) {
      let first = received.count * size
      for blocks in all where index < blocks.count {
        received.append((blocks[index], received.count * size))
      }
      let sends = index < all[ranks.rank].count
      try ranks.allToAll(
        sends ? own[index][bytes(bucket)] : arrivals[0..<0],
        counts: segments.map { sends ? $0.count : 0 },
        into: arrivals[first..<received.count * size],
        counts: all.map { index < $0.count ? size : 0 })
    }
    received.sort { $0.pieces.lowerBound < $1.pieces.lowerBound }
    let total = SumTree.combine(received) { left, right in
      backend.elementType.add(
        UnsafeRawBufferPointer(arrivals[right..<right + size].bytes),
        to: arrivals[left..<left + size].bytes)
      return left
    }
    guard let total else { return }
    try ranks.allGather(
      arrivals[total..<total + size], into: sum[bytes(bucket)], counts: segments.map(\.count))
  }
}

extension ElementType {
  /// Adds as many Float64, or else Float32, to others, as a device rounds them.
  fileprivate func add(_ other: UnsafeRawBufferPointer, to sums: UnsafeMutableRawBufferPointer) {
    func add<Value: FloatingPoint & BitwiseCopyable>(_: Value.Type) {
      let (sums, other) = (sums.bindMemory(to: Value.self), other.bindMemory(to: Value.self))
      for index in sums.indices { sums[index] += other[index] }
    }
    if self == .float64 { add(Double.self) } else { add(Float.self) }
  }
}

/// How a gradient is cut into buckets.
enum GradientBuckets {
  /// The least elements of a bucket, which cost no more than a message's delay, and the most, which MPI can count.
  private static var least: Int { 1 << 16 }
  private static var most: Int { 1 << 22 }

  /// Whole parameters from the last to the first, as the backward pass makes their gradients final; a large
  /// one is cut.
  static func ranges<B: Backend>(_ store: ParameterStore<B>) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var end = store.count
    for offset in store.offsets.reversed() where offset == 0 || end - offset >= least {
      let most = Swift.max(most / store.backend.sliceAlignment, 1) * store.backend.sliceAlignment
      let parts = stride(from: offset, to: end, by: most).map { $0..<min($0 + most, end) }
      result += parts.reversed()
      end = offset
    }
    return result
  }
}
