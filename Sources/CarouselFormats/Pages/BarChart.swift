/// Bars that lie, one below the other in groups, each group under its name, so that long names have room.
package struct BarChart: Picture {
  /// A bar's length, and where it was measured several times the least and the largest value.
  package struct Value: Sendable {
    /// The length.
    package var mean: Double
    /// Between what the values lie; nil for a single one.
    package var spread: ClosedRange<Double>?

    /// Makes a value.
    package init(_ mean: Double, spread: ClosedRange<Double>? = nil) {
      self.mean = mean
      self.spread = spread
    }
  }

  /// The bars under one name, one for each series; nil leaves a bar out.
  package struct Group: Sendable {
    /// The name.
    package var name: String
    /// The bars, in the order of the series.
    package var values: [Value?]

    /// Makes a group.
    package init(_ name: String, _ values: [Value?]) {
      self.name = name
      self.values = values
    }
  }

  /// What the chart shows, for those who cannot see it.
  package let label: String
  /// The axis of the values.
  package let axis: LineChart.Axis
  /// The names of the bars in each group; a single one needs no legend.
  package let series: [String]
  /// The groups from the top.
  package let groups: [Group]
  /// A value to compare with, and what it means.
  package let mark: LineChart.Mark?
  private let frame: ChartFrame
  /// From one bar to the next, so that numbers have room where letters are large; and how thick a bar is.
  private static let pitch = 20.0, thickness = 12.0
  private static let gap = 10.0, left = 36.0

  /// Makes a chart.
  package init(
    _ label: String, axis: LineChart.Axis, series: [String], groups: [Group],
    mark: LineChart.Mark? = nil
  ) {
    self.label = label
    self.axis = axis
    self.series = series
    self.groups = groups
    self.mark = mark
    frame = ChartFrame(
      title: "",
      entries: series.count == 1
        ? []
        : series.enumerated().map {
          ChartFrame.Entry(name: $0.element, colour: PageTheme.colour($0.offset), isDot: true)
        })
  }

  /// The extents of the chart.
  package var width: Double { ChartFrame.width }
  /// In the same units.
  package var height: Double { bottom + 56 }

  private var groupHeight: Double {
    ChartFrame.row + Self.pitch * Double(max(series.count, 1)) + Self.gap
  }
  private var bottom: Double { frame.top + groupHeight * Double(groups.count) }

  /// The chart's elements.
  package var drawing: String {
    let scale = scale
    let line = mark.filter { scale.holds($0.y) }.map { mark in
      let at = scale.position(mark.y)
      let isRight = at > ChartFrame.width / 2
      return """
        <line class="mark" x1="\(at.fixed(1))" y1="\(frame.top.fixed(1))" x2="\(at.fixed(1))" \
        y2="\(bottom.fixed(1))"/><text class="halo" x="\((at + (isRight ? -5 : 5)).fixed(1))" \
        y="\((frame.top + 6).fixed(1))" text-anchor="\(isRight ? "end" : "start")">\
        \(mark.name.htmlEscaped)</text>
        """
    }
    return
      ([
        frame.head,
        ChartFrame.columns(scale, title: axis.title, top: frame.top, bottom: bottom),
        line ?? "",
      ] + groups.enumerated().map { drawn($0.element, index: $0.offset, scale) })
      .filter { !$0.isEmpty }.joined(separator: "\n")
  }

  private var scale: ChartAxis {
    let values = groups.flatMap { $0.values.compactMap(\.self) }
    let all =
      values.map(\.mean)
      + values.compactMap(\.spread).flatMap { [$0.lowerBound, $0.upperBound] }
      + (axis.including.map { [$0.lowerBound, $0.upperBound] } ?? [])
      + (mark.map { [$0.y] } ?? []) + (axis.scale == .linear ? [0] : [])
    let shown = all.filter { $0.isFinite && (axis.scale == .linear || $0 > 0) }
    return ChartAxis(
      axis.scale, holding: (shown.min() ?? 1)...(shown.max() ?? 10),
      pixels: (Self.left, ChartFrame.right - 76), count: 6)
  }

  private func drawn(_ group: Group, index: Int, _ scale: ChartAxis) -> String {
    let top = frame.top + groupHeight * Double(index)
    let name = """
      <text class="strong halo" x="\(Self.left)" y="\((top + 17).fixed(1))">\(group.name.htmlEscaped)</text>
      """
    let bars = group.values.enumerated().compactMap { place, value in
      value.map {
        drawn($0, at: top + ChartFrame.row + Self.pitch * Double(place), series: place, scale)
      }
    }
    return ([name] + bars).joined(separator: "\n")
  }

  private func drawn(_ value: Value, at y: Double, series: Int, _ scale: ChartAxis) -> String {
    func place(_ value: Double) -> Double {
      guard value.isFinite, scale.scale == .linear || value > 0 else { return scale.pixels.0 }
      return scale.position(value)
    }
    let start = scale.scale == .linear ? scale.position(0) : scale.pixels.0
    let end = place(value.mean)
    let (low, high) = (min(start, end), max(start, end))
    let middle = y + Self.thickness / 2
    let whisker = value.spread.map {
      """
      <line class="whisker" x1="\(place($0.lowerBound).fixed(1))" y1="\(middle.fixed(1))" \
      x2="\(place($0.upperBound).fixed(1))" y2="\(middle.fixed(1))"/>
      """
    }
    let edge = max(high, value.spread.map { place($0.upperBound) } ?? high)
    return """
      <rect x="\(low.fixed(1))" y="\(y.fixed(1))" width="\(max(high - low, 1).fixed(1))" \
      height="\(Self.thickness)" rx="2" fill="\(PageTheme.colour(series))"/>\(whisker ?? "")\
      <text class="halo" x="\((edge + 6).fixed(1))" y="\(middle.fixed(1))" dy=".33em">\
      \(value.mean.readable)</text>
      """
  }
}

extension Optional {
  /// The value where it satisfies a condition.
  fileprivate func filter(_ isIncluded: (Wrapped) -> Bool) -> Wrapped? {
    flatMap { isIncluded($0) ? $0 : nil }
  }
}
