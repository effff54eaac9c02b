/// Curves or dots over two axes, each linear or logarithmic, with a legend above.
///
/// A value that has no place on its axis (NaN, an infinity, 0 on a logarithmic one) interrupts its curve.
package struct LineChart: Picture {
  /// A point of a series: a value, and where it was measured several times the least and the largest.
  package struct Point: Sendable {
    /// Where it lies.
    package var x: Double, y: Double
    /// Between what the values at `x` lie; nil for a single one.
    package var spread: ClosedRange<Double>?
    /// What is written beside it, of a series of dots.
    package var name: String?

    /// Makes a point.
    package init(x: Double, y: Double, spread: ClosedRange<Double>? = nil, name: String? = nil) {
      self.x = x
      self.y = y
      self.spread = spread
      self.name = name
    }
  }

  /// How a series is drawn.
  package enum Style: Sendable {
    /// Points joined by a solid or a dashed line, with a band where they have a spread.
    case line, dashed
    /// Dots with whiskers where they have a spread, and their names.
    case dots
  }

  /// What belongs together under one name.
  package struct Series: Sendable {
    /// The name in the legend; an empty one is not in it.
    package var name: String
    /// From left to right.
    package var points: [Point]
    /// How it is drawn.
    package var style: Style
    /// Which of eight colours it has; nil takes the place of the series in the chart.
    package var colour: Int?

    /// Makes a series.
    package init(_ name: String, points: [Point], style: Style = .line, colour: Int? = nil) {
      self.name = name
      self.points = points
      self.style = style
      self.colour = colour
    }

    /// A series of values at 1, 2, 3, ….
    package init(_ name: String, values: [Double], style: Style = .line, colour: Int? = nil) {
      self.init(
        name, points: values.enumerated().map { Point(x: Double($0.offset + 1), y: $0.element) },
        style: style, colour: colour)
    }
  }

  /// An axis.
  package struct Axis: Sendable {
    /// What it counts, with the unit.
    package var title: String
    /// How values lie on it.
    package var scale: ChartScale
    /// A range that it holds in any case.
    package var including: ClosedRange<Double>?

    /// Makes an axis.
    package init(
      _ title: String, scale: ChartScale = .linear, including: ClosedRange<Double>? = nil
    ) {
      self.title = title
      self.scale = scale
      self.including = including
    }
  }

  /// A dotted line across the chart at a value of the vertical axis, with its meaning.
  package struct Mark: Sendable {
    /// The value.
    package var y: Double
    /// What it means.
    package var name: String

    /// Makes a mark.
    package init(y: Double, name: String) {
      self.y = y
      self.name = name
    }
  }

  /// What the chart shows, for those who cannot see it.
  package let label: String
  /// The axes.
  package let xAxis: Axis, yAxis: Axis
  /// What is drawn.
  package let series: [Series]
  /// Values to compare with.
  package let marks: [Mark]
  private let frame: ChartFrame
  private let plotHeight: Double

  /// Makes a chart whose plot is `plotHeight` pixels high.
  package init(
    _ label: String, x: Axis, y: Axis, series: [Series], marks: [Mark] = [],
    plotHeight: Double = 300
  ) {
    self.label = label
    (xAxis, yAxis) = (x, y)
    self.series = series
    self.marks = marks
    self.plotHeight = plotHeight
    frame = ChartFrame(
      title: y.title,
      entries: series.enumerated().map { index, series in
        ChartFrame.Entry(
          name: series.name, colour: PageTheme.colour(series.colour ?? index),
          isDashed: series.style == .dashed, isDot: series.style == .dots)
      })
  }

  /// The extents of the chart.
  package var width: Double { ChartFrame.width }
  /// In the same units.
  package var height: Double { frame.top + plotHeight + 56 }

  /// The chart's elements.
  package var drawing: String {
    let (x, y) = (horizontal, vertical)
    var placer = LabelPlacer(
      area: Box(
        x: ChartFrame.left, y: frame.top, width: ChartFrame.right - ChartFrame.left,
        height: plotHeight), height: ChartSeries.labelHeight)
    return
      ([
        frame.head,
        ChartFrame.columns(
          x, title: xAxis.title, top: frame.top, bottom: frame.top + plotHeight),
        ChartFrame.rows(y),
      ]
      + series.enumerated().map { index, series in
        ChartSeries(
          series: series, colour: PageTheme.colour(series.colour ?? index), x: x, y: y
        ).drawing(&placer)
      }
      + marks.filter { y.holds($0.y) }.map { drawn($0, y) }).filter { !$0.isEmpty }
      .joined(separator: "\n")
  }

  private var points: [Point] { series.flatMap(\.points) }

  private var horizontal: ChartAxis {
    let hasDots = series.contains { $0.style == .dots }
    return ChartAxis(
      xAxis.scale, holding: range(of: points.map(\.x), xAxis),
      pixels: (ChartFrame.left, ChartFrame.right), tight: !hasDots, count: 7)
  }

  private var vertical: ChartAxis {
    let values =
      points.map(\.y)
      + points.compactMap(\.spread).flatMap { [$0.lowerBound, $0.upperBound] }
      + marks.map(\.y)
    return ChartAxis(
      yAxis.scale, holding: range(of: values, yAxis),
      pixels: (frame.top + plotHeight, frame.top), count: 6)
  }

  /// What an axis has to hold; from 1 to 10 where there is nothing.
  private func range(of values: [Double], _ axis: Axis) -> ClosedRange<Double> {
    let shown =
      (values + (axis.including.map { [$0.lowerBound, $0.upperBound] } ?? []))
      .filter { $0.isFinite && (axis.scale == .linear || $0 > 0) }
    guard let least = shown.min(), let largest = shown.max() else { return 1...10 }
    return least...largest
  }

  private func drawn(_ mark: Mark, _ y: ChartAxis) -> String {
    let at = y.position(mark.y)
    return """
      <line class="mark" x1="\(ChartFrame.left)" y1="\(at.fixed(1))" x2="\(ChartFrame.right)" \
      y2="\(at.fixed(1))"/><text class="halo" x="\(ChartFrame.right - 4)" \
      y="\((at - 5).fixed(1))" text-anchor="end">\(mark.name.htmlEscaped)</text>
      """
  }
}
