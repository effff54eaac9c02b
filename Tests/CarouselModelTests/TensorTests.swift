import CarouselModel
import Testing

@Suite struct TensorTests {
  private let floats = Tensor([2, 3], .float32([1, 2, 0.1, -4, 5, 6]))
  private let doubles = Tensor([2, 3], .float64([1, 2, 0.1, -4, 5, 6]))

  @Test func aTensorOfZerosHasItsShape() {
    #expect(Tensor(zeros: [2, 3]) == Tensor([2, 3], [0, 0, 0, 0, 0, 0]))
  }

  @Test func aTensorOfTooFewElementsIsRefused() throws {
    let error = CarouselError(.usage, "a tensor of shape [2, 3] has 6 elements, but was given 5")
    #expect(throws: error) { try Tensor(shape: [2, 3], values: [1, 2, 3, 4, 5]) }
    #expect(throws: error) { try Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5]) }
    #expect(try Tensor(shape: Shape(dimensions: [2]), values: [1, 2]) == Tensor([2], [1, 2]))
  }

  @Test func elementsStayAsTheyCame() throws {
    #expect(floats.elementType == .float32 && doubles.elementType == .float64)
    #expect(try Tensor(shape: [1], floats: [0.1])[0] == Double(Float(0.1)))
    #expect(floats.values[2] == Double(Float(0.1)) && doubles.values[2] == 0.1)
  }

  @Test func tensorsAreEqualWhereTheirValuesAre() {
    #expect(floats != doubles, "0.1 is another number in Float32")
    #expect(floats == Tensor([2, 3], floats.values))
    #expect(Tensor([2, 3], floats.values) == floats)
    #expect(floats != Tensor([3, 2], floats.values))
    #expect(Tensor([1], .float32([.nan])) != Tensor([1], .float32([.nan])))
  }

  @Test func anElementThatIsSetIsRounded() {
    var (single, double) = (floats, doubles)
    single[4] = 1.0000000001
    double[4] = 1.0000000001
    #expect(single.values == [1, 2, Double(Float(0.1)), -4, 1, 6])
    #expect(double.values == [1, 2, 0.1, -4, 1.0000000001, 6])
    #expect(floats[4] == 5, "the copy is another tensor")
  }

  @Test func partsAndJoinsKeepTheType() {
    for tensor in [floats, doubles] {
      let parts = [tensor.part(0), tensor.part(1)]
      #expect(parts[1] == Tensor([3], [-4, 5, 6]) && parts[1].elementType == tensor.elementType)
      let joined = Tensor(joining: parts, as: [2, 3])
      #expect(joined == tensor && joined.elementType == tensor.elementType)
      let picked = tensor.gathering([4..<6, 0..<0, 1..<2], as: [3])
      #expect(picked == Tensor([3], [5, 6, 2]) && picked.elementType == tensor.elementType)
    }
    let mixed = Tensor(joining: [doubles.part(1), floats.part(0)], as: [6])
    #expect(mixed == Tensor([6], [-4, 5, 6, 1, 2, Double(Float(0.1))]))
    #expect(mixed.elementType == .float64)
  }

  /// 1e300 is finite, but not in Float32.
  @Test func theFirstElementThatIsNotFiniteIsFound() {
    let large = Tensor([3], [1, 1e300, .nan])
    #expect(large.firstNonFinite(in: .float64) == 2 && large.firstNonFinite(in: .float32) == 1)
    #expect(large.nonFiniteCount == 2)
    let single = Tensor([3], .float32([1, .greatestFiniteMagnitude, -.infinity]))
    #expect(single.firstNonFinite(in: .float64) == 2 && single.nonFiniteCount == 1)
    #expect(floats.firstNonFinite(in: .float32) == nil)
  }
}
