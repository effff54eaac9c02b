import CarouselFormats
import CarouselModel
import Foundation

/// Norms of gradients over the steps as an SVG picture of its own, logarithmic upwards, in the colours
/// of a light or a dark page.
public struct GradientPlot: Sendable {
  /// The norms of one cell, from step 1 on.
  public struct Line: Sendable {
    /// The cell's name.
    public let name: String
    /// ‖∂loss/∂h_t‖ and ‖∂loss/∂c_t‖ for t from 1.
    public let norms: [GradientNorm]

    /// Names the norms.
    public init(name: String, norms: [GradientNorm]) {
      self.name = name
      self.norms = norms
    }
  }

  /// The norms of one state of one cell: of h a solid line, of c a dashed one.
  private struct Curve {
    let name: String
    let colour: String
    let isDashed: Bool
    let norms: [Double]
  }

  private static let size = (width: 780.0, height: 440.0)
  private static let left = 72.0, right = 680.0, top = 24.0, bottom = 380.0
  private let curves: [Curve]
  private static let colours = ["--a", "--b", "--c"]
  /// The powers of ten at the plot's edges.
  private let decades: ClosedRange<Int>

  /// Prepares a plot; what is 0 or not finite has no place on it and interrupts its line.
  public init(_ lines: [Line]) {
    curves = lines.enumerated().flatMap { index, line in
      let colour = "var(\(Self.colours[index % Self.colours.count]))"
      let cell = line.norms.compactMap(\.cell)
      return [
        Curve(
          name: "\(line.name) ∂h", colour: colour, isDashed: false, norms: line.norms.map(\.hidden))
      ]
        + (cell.isEmpty
          ? [] : [Curve(name: "\(line.name) ∂c", colour: colour, isDashed: true, norms: cell)])
    }
    let logarithms = curves.flatMap(\.norms).filter { $0.isFinite && $0 > 0 }.map(log10)
    let lower = Int((logarithms.min() ?? 0).rounded(.down))
    decades = lower...max(Int((logarithms.max() ?? 0).rounded(.up)), lower + 1)
  }

  /// Writes the picture; nothing half-written is left under the name.
  ///
  /// Throws where that fails.
  public func write(to path: String) throws(CarouselError) {
    try AtomicFile.write(svg + "\n", to: path)
  }

  /// The picture.
  public var svg: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.size.width)) \
    \(Int(Self.size.height))" width="\(Int(Self.size.width))" role="img" \
    aria-label="The norm of the gradient at each step, by cell">
    <style>
    svg { --ground: #fdfdfc; --ink: #1d2329; --quiet: #626c76; --grid: #e3e5e7;
      --a: #2563c9; --b: #c2620c; --c: #2f7d3b; }
    @media (prefers-color-scheme: dark) { svg { --ground: #14171a; --ink: #e8eaec; \
    --quiet: #97a1ab; --grid: #2c3238; --a: #6ea3f7; --b: #ef9a4a; --c: #74c481; } }
    text { font: 12px system-ui, sans-serif; fill: var(--quiet); }
    .name { font-weight: 600; } .grid { stroke: var(--grid); }
    .dashed { stroke-dasharray: 6 4; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    </style>
    <rect width="100%" height="100%" fill="var(--ground)"/>
    \(axes)
    \(drawing)
    </svg>
    """
  }

  private var sequenceLength: Int { curves.map(\.norms.count).max() ?? 1 }

  private func x(_ step: Int) -> Double {
    Self.left + (Self.right - Self.left) * Double(step - 1) / Double(max(sequenceLength - 1, 1))
  }

  private func y(_ norm: Double) -> Double {
    let part = (log10(norm) - Double(decades.lowerBound)) / Double(decades.count - 1)
    return Self.bottom - (Self.bottom - Self.top) * part
  }

  private var axes: String {
    let stride = max(1, (decades.count + 9) / 10)
    let rows = decades.filter { ($0 - decades.lowerBound) % stride == 0 }.map { power in
      let at = text(y(pow(10, Double(power))))
      return """
        <line class="grid" x1="\(text(Self.left))" y1="\(at)" x2="\(text(Self.right))" y2="\(at)"/>\
        <text x="\(text(Self.left - 8))" y="\(at)" dy="4" text-anchor="end">\
        10<tspan dy="-5" font-size="9">\(power)</tspan></text>
        """
    }
    let columns = Self.ticks(upTo: sequenceLength).map { step in
      """
      <text x="\(text(x(step)))" y="\(text(Self.bottom + 20))" text-anchor="middle">\(step)</text>
      """
    }
    return
      (rows + columns + [
        """
        <text x="\(text((Self.left + Self.right) / 2))" y="\(text(Self.bottom + 44))" \
        text-anchor="middle">step t</text>
        """,
        """
        <text transform="translate(18 \(text((Self.top + Self.bottom) / 2))) rotate(-90)" \
        text-anchor="middle">‖∂loss/∂h‖, dashed ‖∂loss/∂c‖, after step t</text>
        """,
      ]).joined(separator: "\n")
  }

  /// 1, T and round numbers between that keep their distance.
  private static func ticks(upTo sequenceLength: Int) -> [Int] {
    let spacing =
      [1, 2, 5, 10, 20, 50, 100, 200, 500].first { sequenceLength / $0 <= 10 }
      ?? (sequenceLength / 10)
    let between = Swift.stride(from: spacing, to: sequenceLength, by: spacing).filter {
      $0 > 1 + spacing / 3 && $0 <= sequenceLength - spacing / 2
    }
    return sequenceLength == 1 ? [1] : [1] + between + [sequenceLength]
  }

  private var drawing: String {
    zip(curves, labelPositions).map { curve, label in
      let colour = curve.colour
      let line = curve.isDashed ? "line dashed" : "line"
      let paths = pieces(of: curve).map { piece in
        let points = piece.map { "\(text(x($0.step))),\(text(y($0.norm)))" }
        return piece.count == 1
          ? """
          <circle cx="\(text(x(piece[0].step)))" cy="\(text(y(piece[0].norm)))" r="2.5" \
          fill="\(colour)"/>
          """
          : """
          <polyline class="\(line)" stroke="\(colour)" points="\(points.joined(separator: " "))"/>
          """
      }
      return
        (paths + [
          """
          <line class="\(line)" stroke="\(colour)" x1="\(text(Self.right + 10))" y1="\(text(label))" \
          x2="\(text(Self.right + 26))" y2="\(text(label))"/>\
          <text class="name" x="\(text(Self.right + 32))" y="\(text(label))" dy="4">\
          \(curve.name)</text>
          """
        ]).joined(separator: "\n")
    }.joined(separator: "\n")
  }

  /// The lines end near 1, so their names are listed, from the one that keeps most.
  private var labelPositions: [Double] {
    let kept = curves.map { $0.norms.first ?? 0 }
    return kept.indices.map { index in
      Self.top + 20
        * Double(
          kept.indices.count { kept[$0] > kept[index] || kept[$0] == kept[index] && $0 < index })
    }
  }

  /// The runs of a curve's norms that can be shown.
  private func pieces(of curve: Curve) -> [[(step: Int, norm: Double)]] {
    curve.norms.enumerated().map { (step: $0.offset + 1, norm: $0.element) }
      .split { !($0.norm.isFinite && $0.norm > 0) }.map(Array.init)
  }

  private func text(_ value: Double) -> String { String(format: "%.1f", value) }
}
