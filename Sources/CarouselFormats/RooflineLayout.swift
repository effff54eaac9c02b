import Foundation

/// A logarithmic axis from one round number to another.
struct LogarithmicAxis {
  /// The ends, of the form 1, 2 or 5 times a power of ten.
  let range: ClosedRange<Double>
  /// The pixels at the two ends.
  let pixels: (Double, Double)

  /// Makes an axis that holds `values`, all positive.
  init(holding values: ClosedRange<Double>, pixels: (Double, Double)) {
    let all = (-12...12).flatMap { power in [1, 2, 5].map { $0 * pow(10, Double(power)) } }
    let lower = all.last { $0 <= values.lowerBound * 1.001 } ?? values.lowerBound
    let upper = all.first { $0 >= values.upperBound * 0.999 } ?? values.upperBound
    range = lower...upper
    self.pixels = pixels
  }

  /// Where a value lies.
  func position(_ value: Double) -> Double {
    let part = log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    return pixels.0 + part * (pixels.1 - pixels.0)
  }

  /// The numbers to label: 1, 2 and 5 in every decade, or 1 alone where there are many decades.
  var ticks: [Double] {
    let decades = log10(range.upperBound / range.lowerBound)
    return (-12...12).flatMap { power in
      (decades > 3.5 ? [1] : [1, 2, 5]).map { $0 * pow(10, Double(power)) }
    }
    .filter { $0 >= range.lowerBound * 0.999 && $0 <= range.upperBound * 1.001 }
  }
}

/// A rectangle in the plot, from its upper left corner.
struct Box {
  /// The upper left corner and the extents, in pixels.
  var x: Double, y: Double, width: Double, height: Double

  /// Whether two rectangles share a point.
  func overlaps(_ other: Box) -> Bool {
    x < other.x + other.width && other.x < x + width && y < other.y + other.height
      && other.y < y + height
  }
}

/// Finds places for labels where they cover neither dots nor each other.
struct LabelPlacer {
  /// The rectangle that labels stay in.
  let area: Box
  /// What is taken.
  var occupied: [Box] = []

  /// Takes the free place nearest to `dot`; the one to its right where none is free.
  mutating func place(width: Double, around dot: Box) -> Box {
    let height = 14.0
    let level = dot.y + dot.height / 2 - height / 2
    let right = Box(x: dot.x + dot.width + 4, y: level, width: width, height: height)
    let left = Box(x: dot.x - 4 - width, y: level, width: width, height: height)
    let candidates = (0...24).flatMap { step in
      [right, left].map { box in
        var box = box
        box.y += Double((step + 1) / 2 * (step % 2 == 0 ? -1 : 1)) * 8
        return box
      }
    }
    let place = candidates.first { isFree($0) } ?? right
    occupied.append(place)
    return place
  }

  private func isFree(_ box: Box) -> Bool {
    box.x >= area.x && box.x + box.width <= area.x + area.width && box.y >= area.y
      && box.y + box.height <= area.y + area.height && !occupied.contains { $0.overlaps(box) }
  }
}
