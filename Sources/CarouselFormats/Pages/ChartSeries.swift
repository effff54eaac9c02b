/// A series of a chart on its axes.
struct ChartSeries {
  let series: LineChart.Series
  let colour: String
  let x: ChartAxis, y: ChartAxis

  /// The height that a dot's name is given: that of the larger letters.
  static let labelHeight = PictureStyle.narrowFontSize

  /// The curve with its band, or the dots with their names, for which `placer` finds places.
  func drawing(_ placer: inout LabelPlacer) -> String {
    if series.style == .dots { return dots(&placer) }
    let line = series.style == .dashed ? "curve dashed" : "curve"
    return pieces.flatMap { piece in
      if piece.count == 1 {
        return [
          """
          <circle cx="\(at(piece[0]).x)" cy="\(at(piece[0]).y)" r="3" fill="\(colour)"/>
          """
        ]
      }
      let points = piece.map { "\(at($0).x),\(at($0).y)" }
      return band(piece) + [
        """
        <polyline class="\(line)" stroke="\(colour)" points="\(points.joined(separator: " "))"/>
        """
      ]
    }.joined(separator: "\n")
  }

  /// The runs of points that can be shown.
  private var pieces: [[LineChart.Point]] {
    series.points.split { !(x.holds($0.x) && y.holds($0.y)) }.map(Array.init)
  }

  private func at(_ point: LineChart.Point) -> (x: String, y: String) {
    (x.position(point.x).fixed(1), y.position(point.y).fixed(1))
  }

  private func band(_ piece: [LineChart.Point]) -> [String] {
    let spread = piece.compactMap { point in
      point.spread.map { (x: point.x, low: visible($0.lowerBound), high: visible($0.upperBound)) }
    }
    guard spread.count == piece.count else { return [] }
    let corners =
      spread.map { "\(x.position($0.x).fixed(1)),\(y.position($0.high).fixed(1))" }
      + spread.reversed().map { "\(x.position($0.x).fixed(1)),\(y.position($0.low).fixed(1))" }
    return [
      """
      <polygon class="band" fill="\(colour)" points="\(corners.joined(separator: " "))"/>
      """
    ]
  }

  /// The value, or the end of the axis that is nearest to it.
  private func visible(_ value: Double) -> Double {
    guard !value.isNaN else { return y.range.lowerBound }
    return min(max(value, y.range.lowerBound), y.range.upperBound)
  }

  private func dots(_ placer: inout LabelPlacer) -> String {
    let shown = series.points.filter { x.holds($0.x) && y.holds($0.y) }
    let boxes = shown.map {
      Box(x: x.position($0.x) - 6, y: y.position($0.y) - 6, width: 12, height: 12)
    }
    placer.occupied += boxes
    let drawn = zip(shown, boxes).map { point, box in
      let (cx, cy) = at(point)
      let whisker = point.spread.map { spread in
        """
        <line class="whisker" x1="\(cx)" y1="\(y.position(visible(spread.lowerBound)).fixed(1))" \
        x2="\(cx)" y2="\(y.position(visible(spread.upperBound)).fixed(1))"/>
        """
      }
      let title = point.name.map { "<title>\($0.htmlEscaped)</title>" } ?? ""
      let dot = "<circle cx=\"\(cx)\" cy=\"\(cy)\" r=\"5\" fill=\"\(colour)\">\(title)</circle>"
      guard let name = point.name,
        let place = placer.place(width: PictureStyle.width(of: name), around: box)
      else { return (dot: (whisker ?? "") + dot, lead: "", name: "") }
      // Letters may be smaller than there is room for: they stand at the dot's end of it.
      let isLeft = place.x + place.width / 2 < box.x + box.width / 2
      let (end, anchor) =
        isLeft ? (place.x + place.width, " text-anchor=\"end\"") : (place.x, "")
      return (
        dot: (whisker ?? "") + dot, lead: place.lead(from: box) ?? "",
        name: """
        <text class="strong halo"\(anchor) x="\(end.fixed(1))" y="\((place.y + 14.5).fixed(1))">\
        \(name.htmlEscaped)</text>
        """
      )
    }
    // Names last, so that no other dot's line crosses them out.
    return (drawn.map(\.lead) + drawn.map(\.dot) + drawn.map(\.name)).filter { !$0.isEmpty }
      .joined(separator: "\n")
  }
}
