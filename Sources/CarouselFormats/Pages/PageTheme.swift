import Foundation

/// The colours of every picture and page, for a light and for a dark ground.
///
/// They are CSS variables: `--ground`, `--ink` for text, `--quiet` for text of less weight, `--line` for
/// grids, `--soft` for boxes, and `--a` to `--h` for what is told apart by colour.
enum PageTheme {
  /// The variables of the colours for series, in their order.
  static let series = ["--a", "--b", "--c", "--d", "--e", "--f", "--g", "--h"]

  /// The colour of the series `index`, from the beginning again where there are more than colours.
  static func colour(_ index: Int) -> String { "var(\(series[index % series.count]))" }

  /// The variables as a style sheet, set for the element that `selector` names.
  static func variables(for selector: String) -> String {
    """
    \(selector) {
      --ground: #fdfdfc; --ink: #1d2329; --quiet: #626c76; --line: #e3e5e7; --soft: #f3f4f4;
      --a: #2563c9; --b: #c2620c; --c: #2f7d3b; --d: #8a3ab9; --e: #c0304a; --f: #0f7f86;
      --g: #8a6d1a; --h: #858d96;
    }
    @media (prefers-color-scheme: dark) {
      \(selector) {
        --ground: #14171a; --ink: #e8eaec; --quiet: #97a1ab; --line: #2c3238; --soft: #1d2125;
        --a: #6ea3f7; --b: #ef9a4a; --c: #74c481; --d: #c58aeb; --e: #f2798c; --f: #56c2c9;
        --g: #d6b456; --h: #8a939c;
      }
    }
    """
  }
}

extension String {
  /// The text escaped for HTML and SVG, inside an element or a quoted attribute.
  var htmlEscaped: String {
    replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
  }
}

extension Double {
  /// The number with a fixed count of digits behind the point.
  func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

  /// The number with three significant digits; a dash where there is none.
  package var readable: String {
    guard isFinite else { return "–" }
    switch magnitude {
    case 0: return "0"
    case 99.95...: return magnitude < 1e6 ? fixed(0) : String(format: "%.2e", self)
    case 9.995...: return fixed(1)
    case 0.9995...: return fixed(2)
    default: return String(format: "%.2g", self)
    }
  }
}
