import CarouselModel
import Testing

@Suite struct ShapeTests {
  @Test func aShapeCountsItsElements() {
    #expect(Shape([50, 32, 128]).count == 204_800)
    #expect(Shape([4, 0, 2]).count == 0)
    #expect(([] as Shape).count == 1)
    #expect(Shape([7, 3]).rank == 2)
    #expect(Shape([7, 3])[1] == 3)
    #expect("\(Shape([50, 32]))" == "[50, 32]")
  }

  @Test func aProductThatFitsNoIntIsNone() {
    #expect(Shape.count(of: [1 << 40, 1 << 22]) == 1 << 62)
    #expect(Shape.count(of: [1 << 40, 1 << 23]) == nil)
    #expect(Shape.count(of: [1 << 40, 1 << 40, 0]) == nil)
    #expect(Shape.count(of: [0, 1 << 40, 1 << 40]) == nil)
    #expect(Shape.count(of: [1 << 40, 0, 1 << 22]) == 0)
    #expect(Shape.count(of: []) == 1)
  }

  @Test(arguments: [[2, -1], [1 << 40, 1 << 40], [.min]])
  func extentsThatMakeNoShapeAreRefused(extents: [Int]) {
    #expect(
      throws: CarouselError(
        .usage,
        "a shape's extents must be at least 0 and their product an Int, but they are \(extents)")
    ) { try Shape(dimensions: extents) }
  }
}
