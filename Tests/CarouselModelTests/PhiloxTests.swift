import CarouselModel
import Testing

@Suite struct PhiloxTests {
  /// The known answers of Random123's `kat_vectors`, philox4x32 with 10 rounds.
  @Test(
    arguments: [
      (seed: 0, stream: 0, index: 0, words: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        seed: .max, stream: .max, index: .max,
        words: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e, index: 0x85a3_08d3_243f_6a88,
        words: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [(seed: UInt64, stream: UInt64, index: UInt64, words: [UInt32])])
  func blocksAreThePublishedOnes(
    seed: UInt64, stream: UInt64, index: UInt64, words: [UInt32]
  ) {
    let block = Philox(seed: seed, stream: stream).block(index)
    #expect((0..<4).map { block[$0] } == words)
  }

  @Test func wordsRunThroughTheLanesOfTheBlocks() {
    let random = Philox(seed: 5, stream: 6)
    for index in 0..<10 {
      let block = random.block(UInt64(index / 4))
      #expect(random.word(index) == block[index % 4])
    }
  }

  /// Element (t, n, i) of a slice is that of the whole batch.
  @Test(arguments: [1, 4, 5], [(0, 3), (2, 1), (1, 5)])
  func aSliceDrawsWhatTheWholeBatchDraws(width: Int, slice: (first: Int, count: Int)) {
    let whole = Philox(seed: 5, stream: 6)
    var part = whole
    part.window = BatchSlice(first: slice.first, count: slice.count, of: 7).window(width: width)
    let expected = (0..<3).flatMap { t in
      (0..<slice.count * width).map { whole.uniform((t * 7 + slice.first) * width + $0) }
    }
    #expect((0..<expected.count).map(part.uniform) == expected)
    #expect(part.uniforms(count: expected.count) == expected)
  }

  @Test func uniformNumbersFillTheUnitInterval() {
    let random = Philox(seed: 5, stream: 6)
    let values = (0..<20_000).map(random.uniform)
    #expect(values.allSatisfy { 0 <= $0 && $0 < 1 && Double(Float($0)) == $0 })
    let mean = values.reduce(0, +) / 20_000
    let square = values.reduce(0) { $0 + $1 * $1 } / 20_000
    #expect((mean - 0.5).magnitude < 0.01)
    #expect((square - 1.0 / 3).magnitude < 0.01)
  }

  @Test(arguments: [0, 1, 4, 11]) func uniformNumbersCanBeDrawnTogether(count: Int) {
    let random = Philox(seed: 5, stream: 6)
    #expect(random.uniforms(count: count) == (0..<count).map(random.uniform))
  }

  @Test func normalNumbersHaveMeanZeroAndDeviationOne() {
    let random = Philox(seed: 5, stream: 6)
    let values = (0..<20_000).map(random.normal)
    let mean = values.reduce(0, +) / 20_000
    let variance = values.reduce(0) { $0 + $1 * $1 } / 20_000
    let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / 20_000
    #expect(mean.magnitude < 0.03)
    #expect((variance - 1).magnitude < 0.04)
    #expect((fourth - 3).magnitude < 0.3)
  }

  @Test func streamsNeverMeet() {
    let streams =
      (0..<4).map { RandomStream.initialization(parameter: $0) }
      + (-1..<3).flatMap { layer in
        [0, 1, 1 << 39].map { RandomStream.dropout(layer: layer, step: $0) }
      } + [RandomStream.sampling] + (0..<4).map { RandomStream.input($0) }
    #expect(Set(streams).count == streams.count)
  }
}
