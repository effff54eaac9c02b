/// A rectangle in the plot, from its upper left corner.
struct Box {
  /// The upper left corner and the extents, in pixels.
  var x: Double, y: Double, width: Double, height: Double

  /// Whether two rectangles share a point.
  func overlaps(_ other: Box) -> Bool {
    x < other.x + other.width && other.x < x + width && y < other.y + other.height
      && other.y < y + height
  }

  /// How far two rectangles lie apart, 0 where they touch or overlap.
  func distance(to other: Box) -> Double {
    let dx = max(other.x - (x + width), x - (other.x + other.width), 0)
    let dy = max(other.y - (y + height), y - (other.y + other.height), 0)
    return (dx * dx + dy * dy).squareRoot()
  }

  /// The point of the rectangle that is nearest to another.
  func nearest(toX otherX: Double, y otherY: Double) -> (x: Double, y: Double) {
    (min(max(otherX, x), x + width), min(max(otherY, y), y + height))
  }
}

extension Box {
  /// The line from a dot to this box, which has its name; nil where the name stands beside the dot.
  func lead(from dot: Box) -> String? {
    guard distance(to: dot) > 8 else { return nil }
    let begin = (x: dot.x + dot.width / 2, y: dot.y + dot.height / 2)
    let end = nearest(toX: begin.x, y: begin.y)
    return """
      <line class="lead" x1="\(begin.x.fixed(1))" y1="\(begin.y.fixed(1))" x2="\(end.x.fixed(1))" \
      y2="\(end.y.fixed(1))"/>
      """
  }
}

/// Finds places for labels where they cover neither dots nor each other.
struct LabelPlacer {
  /// The rectangle that labels stay in.
  let area: Box
  /// What is taken.
  var occupied: [Box] = []

  /// How high a label is.
  var height = 14.0
  /// How far it stays from its dot.
  private static let gap = 4.0

  /// Takes the free place nearest to `dot`, to its right where several are as near; nil where the area has
  /// no room left.
  mutating func place(width: Double, around dot: Box) -> Box? {
    let beside = [dot.x + dot.width + Self.gap, dot.x - Self.gap - width]
    let columns = stride(from: area.x, through: area.x + area.width - width, by: 12)
    let level = dot.y + dot.height / 2 - height / 2
    // Level with the dot before above and below.
    let rows = (-Int(area.height / 7)...Int(area.height / 7)).map { Double(7 * $0) }
      .sorted { abs($0) < abs($1) }
    var best: (distance: Double, place: Box)?
    for x in beside + Array(columns) {
      for offset in rows {
        let box = Box(x: x, y: level + offset, width: width, height: height)
        let distance = box.distance(to: dot)
        if distance < (best?.distance ?? .infinity) - 1e-6, distance >= Self.gap - 1e-9, isFree(box)
        {
          best = (distance, box)
        }
      }
    }
    guard var taken = best?.place else { return nil }
    taken.x -= Self.gap
    taken.width += 2 * Self.gap
    occupied.append(taken)
    return best?.place
  }

  private func isFree(_ box: Box) -> Bool {
    box.x >= area.x && box.x + box.width <= area.x + area.width && box.y >= area.y
      && box.y + box.height <= area.y + area.height && !occupied.contains { $0.overlaps(box) }
  }
}
