import CarouselModel

/// A picture that is drawn as SVG: on a page in the page's colours, or as a file of its own.
///
/// It needs nothing else, follows a light or dark ground, and has larger letters where it is shown less
/// than 560 pixels wide.
package protocol Picture: Sendable {
  /// The extents in units of the picture, which are pixels where it is shown at its own size.
  var width: Double { get }
  var height: Double { get }
  /// What the picture shows, for those who cannot see it.
  var label: String { get }
  /// The elements of the picture, from (0, 0) to (`width`, `height`).
  var drawing: String { get }
}

extension Picture {
  /// The picture as a file of its own, with its colours and letters.
  package var svg: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" \(attributes) width="\(Int(width))" \
    height="\(Int(height))">
    <style>
    \(PageTheme.variables(for: "svg"))
    svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
    \(PictureStyle.sheet)
    </style>
    <rect width="100%" height="100%" fill="var(--ground)"/>
    \(drawing)
    </svg>

    """
  }

  /// The picture as an element of a page, whose style it takes.
  package var inlineSVG: String {
    """
    <svg class="chart" \(attributes)>
    \(drawing)
    </svg>
    """
  }

  /// Writes `svg`; nothing half-written is left under the name.
  ///
  /// Throws `writeFailed`.
  package func write(to path: String) throws(CarouselError) {
    try AtomicFile.write(svg, to: path)
  }

  private var attributes: String {
    """
    viewBox="0 0 \(Int(width)) \(Int(height))" role="img" aria-label="\(label.htmlEscaped)"
    """
  }
}

/// The letters and lines of all pictures.
enum PictureStyle {
  /// The size of letters, and where the picture is shown narrow.
  static let fontSize = 13.0, narrowFontSize = 19.0

  /// About how wide a text is at the larger of the two sizes, in pixels.
  static func width(of text: String) -> Double { Double(text.count) * narrowFontSize * 0.54 }

  /// The style sheet.
  static let sheet = """
    svg text { font-size: 13px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
    svg text.strong { fill: var(--ink); font-weight: 550; }
    svg text.cell { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 17px;
      fill: var(--ink); white-space: pre; }
    svg .grid { stroke: var(--line); stroke-width: 1; }
    svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
    svg .dashed { stroke-dasharray: 6 5; }
    svg .band { fill-opacity: .16; }
    svg .mark { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 2 4; }
    svg .whisker { stroke: var(--ink); stroke-width: 1.25; }
    svg .lead { stroke: var(--quiet); stroke-width: .75; }
    svg .halo { stroke: var(--ground); stroke-width: 4px; paint-order: stroke; }
    @media (max-width: 560px) { svg text { font-size: 19px; } }
    """
}
