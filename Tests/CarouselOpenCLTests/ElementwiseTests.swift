import CarouselModel
import Testing

@testable import CarouselOpenCL

/// Functions of views that lie across the result, in runs and in planes.
@MainActor @Suite(.device)
struct ElementwiseTests {
  /// Rows and columns of a plane about a vector's, and planes.
  @Test(arguments: [(8, 2, 3), (17, 3, 2), (16, 16, 1), (33, 15, 2), (20, 17, 2), (9, 40, 3)])
  func everyLayoutAgrees(rows: Int, columns: Int, planes: Int) throws {
    let extents = [planes, rows, columns]
    let size = rows * columns
    let layouts: [StridedView] = [
      // Along the rows, along the columns, a part of longer rows, one number for each row, for each
      // column and for all, and every second element backward.
      StridedView(Shape(extents)),
      StridedView(extents: extents, strides: [size, 1, rows]),
      StridedView(offset: 2, extents: extents, strides: [rows * (columns + 5), columns + 5, 1]),
      StridedView(extents: extents, strides: [0, 1, 0]),
      StridedView(extents: extents, strides: [0, 0, 1]),
      StridedView(extents: extents, strides: [0, 0, 0]),
      StridedView(
        offset: 2 * size * planes - 2, extents: extents, strides: [-2 * size, -2 * columns, -2]),
    ]
    for layout in layouts {
      try expectAgreement(ElementwiseWork(function: .unary(.tanh), views: [layout]))
      for other in layouts {
        let views = [layout, other]
        try expectAgreement(ElementwiseWork(function: .binary(.multiply), views: views))
        let three = ElementwiseWork(function: .multiplyAdd, views: views + [layouts[1]])
        try expectAgreement(three)
      }
    }
  }

  @Test func planesAreWhereRowsAreShortOrLieAcross() {
    func layout(_ extents: [Int], _ strides: [Int]) -> ViewLayout {
      ViewLayout([StridedView(Shape(extents)), StridedView(extents: extents, strides: strides)])
    }
    let (across, short) = (layout([2, 40, 30], [1200, 1, 40]), layout([40, 4], [9, 1]))
    #expect(across.plane(width: 16).map { [$0.rows, $0.columns] } == [40, 30])
    #expect(short.plane(width: 16).map { [$0.rows, $0.columns] } == [40, 4])
    #expect(short.plane(width: 4) == nil)
    // One run, long rows, few rows.
    #expect(layout([40, 4], [4, 1]).plane(width: 16) == nil)
    #expect(layout([40, 30], [33, 1]).plane(width: 16) == nil)
    #expect(layout([7, 30], [1, 7]).plane(width: 16) == nil)
  }
}

/// A function of views of memory that holds what they reach.
private struct ElementwiseWork: Work {
  let function: ElementwiseFunction
  let views: [StridedView]

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let inputs = try views.enumerated().map { stream, view in
      let reach = zip(view.extents, view.strides).reduce(view.offset) {
        $0 + max(0, ($1.0 - 1) * $1.1)
      }
      return (buffer: try backend.input(numbers(reach + 1, stream: stream)), view: view)
    }
    let y = try backend.output(views[0].count)
    try backend.elementwise(function, inputs, into: y, extents: views[0].extents)
    return [try backend.outcome("y", y, views[0].count, bound: 8 * 0x1p-23)]
  }
}
