import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Dropout out of place, and in place.
struct DropoutWork: Work {
  var count: Int, probability: Double
  var random = Philox(seed: 0xDEAD_BEEF_0123_4567, stream: RandomStream.dropout(layer: 3, step: 77))

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let x = try backend.input(numbers(count, stream: 60))
    let y = try backend.output(count)
    try backend.dropout(x, y: y, count: count, probability: probability, random: random)
    try backend.dropout(x, y: x, count: count, probability: probability, random: random)
    let apart = try backend.outcome("y", y, count)
    return [
      apart, Outcome(name: "mask", values: apart.values.map { $0 == 0 ? 0 : 1 }, bound: 0),
      try backend.outcome("in place", x, count),
    ]
  }
}

@MainActor @Suite(.device)
struct DropoutTests {
  @Test(arguments: [1, 2, 3, 4, 5, 15, 16, 17, 4095, 4096, 4097, 10_001])
  func everyCountDrawsTheMaskOfTheReference(count: Int) throws {
    try expectAgreement(DropoutWork(count: count, probability: 0.5))
  }

  @Test(arguments: [0, 0x1p-25, 0x1p-24, 0.1, 1.0 / 3, 0.9, 0.999, 1 - 0x1p-24, 1 - 0x1p-25])
  func everyProbabilityDrawsTheMaskOfTheReference(probability: Double) throws {
    try expectAgreement(DropoutWork(count: 3001, probability: probability))
  }

  @Test func anElementWhoseDrawIsTheProbabilityIsKept() throws {
    var work = DropoutWork(count: 40, probability: 0)
    for index in [0, 6, 39] {
      work.probability = work.random.uniform(index)
      #expect(try work.outcomes(on: ReferenceBackend())[0].values[index] != 0)
      try expectAgreement(work)
    }
  }

  /// Widths and places that are multiples of 4, and others.
  @Test(arguments: [1, 3, 4, 12], [(0, 5), (4, 4), (3, 2)])
  func aSliceOfABatchDrawsTheMaskOfTheReference(width: Int, slice: (first: Int, count: Int)) throws
  {
    var work = DropoutWork(count: 6 * slice.count * width, probability: 0.4)
    let whole = work.random
    work.random.window = BatchSlice(first: slice.first, count: slice.count, of: 8).window(
      width: width)
    try expectAgreement(work)
    let drawn = (0..<work.count).map { work.random.uniform($0) }
    #expect(drawn != (0..<work.count).map { whole.uniform($0) })
  }

  @Test(arguments: [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, UInt64.max])
  func everySeedAndStreamDrawTheMaskOfTheReference(bits: UInt64) throws {
    for random in [Philox(seed: bits, stream: 9), Philox(seed: 9, stream: bits)] {
      try expectAgreement(DropoutWork(count: 101, probability: 0.5, random: random))
    }
  }
}
