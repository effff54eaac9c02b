import Foundation

extension ProfileReport {
  /// The roofline plot (Williams, Waterman & Patterson, 2009) as SVG: GFLOP/s over FLOP per byte,
  /// under the lower of the two roofs, the device's GFLOP/s and its GB/s times the intensity.
  var roofline: String {
    guard [peak.gflops, peak.gigabytesPerSecond].allSatisfy({ $0.isFinite && $0 > 0 }) else {
      return "<p class=\"quiet\">The device's peak was not measured.</p>"
    }
    let shown = kernels.filter { isInPlot($0) }
    let hidden = kernels.filter { !isInPlot($0) }
    let plot = RooflinePlot(peak: peak, kernels: shown)
    let names = hidden.map { "<code>\($0.name.htmlEscaped)</code>" }.joined(separator: ", ")
    return "<div class=\"wide\">\(plot.svg)</div>"
      + (hidden.isEmpty
        ? "" : "\n<p class=\"quiet\">Too little arithmetic for the plot: \(names)</p>")
  }

  /// A logarithmic axis has no place for 0, nor should a kernel far from the roofs squeeze the others.
  private func isInPlot(_ kernel: Kernel) -> Bool {
    let ridge = peak.gflops / peak.gigabytesPerSecond
    return kernel.gflops.isFinite && kernel.gflops > peak.gflops * 1e-5
      && kernel.arithmeticIntensity.isFinite && kernel.arithmeticIntensity > ridge * 1e-4
      && kernel.arithmeticIntensity < ridge * 1e4
  }
}

/// Places the axes, the roofs, the dots and their labels, and draws them.
struct RooflinePlot {
  private static let frame = ChartFrame(title: "GFLOP/s", entries: [])
  private static let left = ChartFrame.left, right = ChartFrame.right
  private static let top = frame.top, bottom = frame.top + 340, height = bottom + 56

  private let peak: ProfileReport.Peak
  private let kernels: [ProfileReport.Kernel]
  private let x: ChartAxis, y: ChartAxis

  /// Makes a plot of kernels whose intensity and rate are positive, as the peak's two rates are.
  init(peak: ProfileReport.Peak, kernels: [ProfileReport.Kernel]) {
    let ridge = peak.gflops / peak.gigabytesPerSecond
    let intensities = kernels.map(\.arithmeticIntensity) + [ridge]
    let rates = kernels.map(\.gflops) + [peak.gflops]
    self.peak = peak
    self.kernels = kernels
    x = ChartAxis(
      holding: min(
        ridge / 20, intensities.reduce(ridge, min) / 2)...max(
          ridge * 10, intensities.reduce(ridge, max) * 2),
      pixels: (Self.left, Self.right))
    y = ChartAxis(
      holding: min(peak.gflops / 40, rates.reduce(peak.gflops, min) / 2)...rates.reduce(
        peak.gflops, max) * 1.4,
      pixels: (Self.bottom, Self.top))
  }

  /// The whole plot.
  var svg: String {
    var labels = LabelPlacer(
      area: Box(
        x: Self.left, y: Self.top, width: Self.right - Self.left, height: Self.bottom - Self.top))
    let roof = roof(&labels)
    return """
      <svg class="roofline" viewBox="0 0 \(Int(ChartFrame.width)) \(Int(Self.height))" role="img" \
      aria-label="Roofline plot: GFLOP/s of each kernel over its FLOP per byte">
      \(Self.frame.head)
      \(columns)
      \(ChartFrame.rows(y))
      \(roof)
      \(dots(&labels))
      </svg>
      """
  }

  private var columns: String {
    ChartFrame.columns(
      x, title: "arithmetic intensity, FLOP per byte", top: Self.top, bottom: Self.bottom)
  }

  /// The two roofs with their labels, of which kernels' labels stay clear.
  private func roof(_ labels: inout LabelPlacer) -> String {
    let bandwidth = peak.gigabytesPerSecond
    let ridge = peak.gflops / bandwidth
    let start = max(x.range.lowerBound, y.range.lowerBound / bandwidth)
    let (x0, y0) = (x.position(start), y.position(start * bandwidth))
    let (x1, y1) = (x.position(ridge), y.position(peak.gflops))
    let text = "\(bandwidth.readable) GB/s measured"
    let angle = atan2(y1 - y0, x1 - x0)
    let (middleX, middleY) = ((x0 + x1) / 2, (y0 + y1) / 2)
    let reach = text.plotWidth / 2
    for part in stride(from: 0.0, through: 1, by: 1.0 / 64) {
      labels.occupied.append(
        Box(x: x0 + part * (x1 - x0) - 3, y: y0 + part * (y1 - y0) - 3, width: 6, height: 6))
    }
    labels.occupied.append(
      Box(x: x1, y: Self.top, width: Self.right - x1, height: y1 + 1 - Self.top))
    for part in stride(from: -1.0, through: 1, by: 0.125) {
      let (atX, atY) = (middleX + part * reach * cos(angle), middleY + part * reach * sin(angle))
      labels.occupied.append(Box(x: atX - 6, y: atY - 20, width: 18, height: 20))
    }
    let flat = "\(peak.gflops.readable) GFLOP/s measured"
    return """
      <polyline class="roof" points="\(x0.fixed(1)),\(y0.fixed(1)) \(x1.fixed(1)),\(y1.fixed(1)) \
      \(Self.right),\(y1.fixed(1))"/>
      <text class="peak halo" x="\(Self.right - 6)" y="\((y1 - 7).fixed(1))" text-anchor="end">\
      \(flat)</text>
      <text class="peak halo" text-anchor="middle" transform="translate(\(middleX.fixed(1)) \
      \(middleY.fixed(1))) rotate(\((angle * 180 / .pi).fixed(2)))" y="-7">\(text)</text>
      """
  }

  private func dots(_ labels: inout LabelPlacer) -> String {
    let dots = kernels.map { kernel in
      let share = kernel.share.isFinite ? min(max(kernel.share, 0), 1) : 0
      return Dot(
        kernel: kernel, x: x.position(kernel.arithmeticIntensity), y: y.position(kernel.gflops),
        radius: 4 + 12 * share.squareRoot())
    }
    for dot in dots { labels.occupied.append(dot.box) }
    // The largest get the best places for their labels, and lie below the smaller dots.
    let ordered = dots.sorted { $0.radius > $1.radius }
    let placed = ordered.compactMap { label($0, &labels) }
    return (ordered.map(\.svg) + placed.map(\.lead) + placed.map(\.text))
      .joined(separator: "\n")
  }

  /// A dot's name, and a line that leads to it where it stands farther off; else that is empty.
  ///
  /// Nil where the plot has no room left: the dot shows its name when it is pointed at, and the table has it.
  private func label(
    _ dot: Dot, _ labels: inout LabelPlacer
  ) -> (lead: String, text: String)? {
    let name = dot.kernel.name
    let short = name.count > 36 ? name.prefix(35) + "…" : name[...]
    let width = Double(short.count) * 6.7 + 2
    guard let place = labels.place(width: width, around: dot.box) else { return nil }
    let text = """
      <text class="kernel halo" x="\(place.x.fixed(1))" y="\((place.y + 10.5).fixed(1))">\
      \(String(short).htmlEscaped)</text>
      """
    return (place.lead(from: dot.box) ?? "", text)
  }

  private struct Dot {
    var kernel: ProfileReport.Kernel
    var x: Double
    var y: Double
    var radius: Double

    var box: Box { Box(x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius) }

    var svg: String {
      """
      <circle class="\(kernel.bound.rawValue)" cx="\(x.fixed(1))" cy="\(y.fixed(1))" \
      r="\(radius.fixed(1))"><title>\(kernel.name.htmlEscaped): \(kernel.gflops.readable) GFLOP/s, \
      \(kernel.arithmeticIntensity.readable) FLOP/byte</title></circle>
      """
    }
  }
}

extension String {
  /// About how wide the text is in the plot's bold font of 12 pixels.
  fileprivate var plotWidth: Double { Double(count) * 7.6 }
}
