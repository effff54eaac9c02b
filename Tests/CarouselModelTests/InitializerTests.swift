import CarouselModel
import Testing

@Suite struct InitializerTests {
  private let random = Philox(seed: 1, stream: RandomStream.initialization(parameter: 0))

  @Test(arguments: [Initializer.uniform(0.25), .normal(2), .constant(0.5)])
  func valuesAreTheSameEachTimeAndExactInFloat32(initializer: Initializer) {
    let values = initializer.values(count: 100, random: random)
    #expect(values == initializer.values(count: 100, random: random))
    #expect(values.allSatisfy { Double(Float($0)) == $0 })
  }

  @Test func aShorterTensorBeginsAlike() {
    let initializer = Initializer.normal(1)
    #expect(
      initializer.values(count: 10, random: random)
        == Array(initializer.values(count: 33, random: random)[..<10]))
  }

  @Test func uniformValuesKeepTheirBound() {
    let values = Initializer.uniform(0.25).values(count: 5000, random: random)
    #expect(values.allSatisfy { $0.magnitude <= 0.25 })
    #expect((values.min() ?? 0) < -0.24 && (values.max() ?? 0) > 0.24)
  }

  @Test func normalValuesHaveTheirDeviation() {
    let values = Initializer.normal(3).values(count: 5000, random: random)
    let variance = values.reduce(0) { $0 + $1 * $1 } / 5000
    #expect((variance - 9).magnitude < 0.7)
  }
}
