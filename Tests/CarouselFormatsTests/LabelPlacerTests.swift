import Foundation
import Testing

@testable import CarouselFormats

@Suite struct LabelPlacerTests {
  private static let area = Box(x: 56, y: 16, width: 688, height: 376)

  private func isInside(_ box: Box) -> Bool {
    let area = Self.area
    return box.x >= area.x && box.x + box.width <= area.x + area.width && box.y >= area.y
      && box.y + box.height <= area.y + area.height
  }

  /// Dots on one spot, along a line, in a corner, and in a heap.
  @Test(arguments: [
    (0.0, 0.0), (9, 0), (0, 7), (-1.5, 2.25), (0.01, 0.01),
  ])
  func manyCloseLabelsDoNotOverlap(dx: Double, dy: Double) {
    for (x, y) in [(400.0, 200.0), (70, 30), (730, 380), (720, 20)] {
      var placer = LabelPlacer(area: Self.area)
      let dots = (0..<24).map { index -> Box in
        let (step, radius) = (Double(index) - 12, 4 + 12 / Double(index + 1))
        let at = (x: min(max(x + dx * step, 60), 740), y: min(max(y + dy * step, 20), 388))
        return Box(x: at.x - radius, y: at.y - radius, width: 2 * radius, height: 2 * radius)
      }
      placer.occupied = dots
      let labels = dots.indices.compactMap { index in
        placer.place(width: Double(8 + index % 5 * 4) * 6.7 + 2, around: dots[index])
      }
      #expect(labels.count == dots.count)
      for (index, label) in labels.enumerated() {
        #expect(isInside(label))
        #expect(!dots.contains { $0.overlaps(label) })
        #expect(!labels[..<index].contains { $0.overlaps(label) })
      }
    }
  }

  @Test func aLoneLabelStandsBesideItsDot() {
    var placer = LabelPlacer(area: Self.area)
    let dot = Box(x: 300, y: 100, width: 10, height: 10)
    placer.occupied = [dot]
    let right = placer.place(width: 80, around: dot)
    #expect(right?.x == 314 && right?.y == 98)
    let edge = Box(x: 700, y: 300, width: 10, height: 10)
    placer.occupied.append(edge)
    let left = placer.place(width: 80, around: edge)
    #expect(left?.x == 616 && left?.y == 298)
  }

  @Test func withoutRoomThereIsNoLabel() {
    var placer = LabelPlacer(area: Box(x: 0, y: 0, width: 100, height: 20))
    let dot = Box(x: 2, y: 2, width: 4, height: 4)
    let places = [101.0, 80, 80].map { placer.place(width: $0, around: dot) != nil }
    #expect(places == [false, true, false])
  }

  @Test func rectanglesLieAsFarApartAsTheirNearestPoints() {
    let box = Box(x: 0, y: 0, width: 2, height: 2)
    #expect(box.distance(to: Box(x: 5, y: 6, width: 1, height: 1)) == 5)
    #expect(box.distance(to: Box(x: 1, y: 1, width: 9, height: 9)) == 0)
    #expect(box.distance(to: Box(x: -4, y: 0, width: 1, height: 1)) == 3)
  }
}
