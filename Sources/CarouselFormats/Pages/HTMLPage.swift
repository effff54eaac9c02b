import CarouselModel

/// A page that needs nothing else: text, tables, commands and pictures in one file, on a light or a dark
/// ground, for a telephone or a screen.
package struct HTMLPage: Sendable {
  /// A number with its meaning.
  package struct Figure: Sendable {
    /// The number as it is shown, with its unit where it has one.
    package var value: String, unit: String
    /// What it counts, and what is to know of it.
    package var name: String, note: String

    /// Makes a figure.
    package init(_ value: String, unit: String = "", name: String, note: String = "") {
      self.value = value
      self.unit = unit
      self.name = name
      self.note = note
    }
  }

  /// A piece of the page.
  ///
  /// Texts are plain: what HTML would take for its own is escaped.
  package enum Block: Sendable {
    /// The heading of what follows.
    case heading(String)
    /// A paragraph; in smaller letters; in larger ones: what was found.
    case paragraph(String)
    case note(String)
    case finding(String)
    /// Numbers side by side.
    case figures([Figure])
    /// A list of sentences.
    case list([String])
    /// Names with their values, in small boxes.
    case details([(name: String, value: String)])
    /// Lines to type.
    case commands([String])
    /// A table whose first column names its rows, and whose others are numbers.
    case table(columns: [String], rows: [[String]])
    /// A picture with what is to be seen on it.
    case picture(any Picture, caption: String)
    /// HTML as it is.
    case html(String)
  }

  /// What kind of page it is, its title, and a line below that; an empty one is left out.
  package var kind: String, title: String, subtitle: String
  /// The pieces from the top.
  package var blocks: [Block]
  /// A style sheet beside that of every page.
  var style = ""

  /// Makes a page.
  package init(kind: String, title: String, subtitle: String = "", blocks: [Block]) {
    self.kind = kind
    self.title = title
    self.subtitle = subtitle
    self.blocks = blocks
  }

  /// Writes the page; nothing half-written is left under the name.
  ///
  /// Throws `writeFailed`.
  package func write(to path: String) throws(CarouselError) {
    try AtomicFile.write(html, to: path)
  }

  /// The page.
  package var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(title.htmlEscaped)</title>
    <style>
    \(([PageTheme.variables(for: ":root"), PageStyle.sheet, PictureStyle.sheet, style])
      .filter { !$0.isEmpty }.joined(separator: "\n"))
    </style>
    </head>
    <body>
    <main>
    <header>
    <p class="kind">\(kind.htmlEscaped)</p>
    <h1>\(title.htmlEscaped)</h1>\
    \(subtitle.isEmpty ? "" : "\n<p class=\"quiet\">\(subtitle.htmlEscaped)</p>")
    </header>
    \(blocks.map(\.html).filter { !$0.isEmpty }.joined(separator: "\n"))
    </main>
    </body>
    </html>

    """
  }
}

extension HTMLPage.Block {
  /// The piece as HTML.
  var html: String {
    switch self {
    case .heading(let text): "<h2>\(text.htmlEscaped)</h2>"
    case .paragraph(let text): "<p>\(text.htmlEscaped)</p>"
    case .note(let text): "<p class=\"quiet\">\(text.htmlEscaped)</p>"
    case .finding(let text): "<p class=\"finding\">\(text.htmlEscaped)</p>"
    case .figures(let figures): Self.html(figures)
    case .list(let items):
      items.isEmpty
        ? ""
        : """
        <ul class="notes">
        \(items.map { "<li>\($0.htmlEscaped)</li>" }.joined(separator: "\n"))
        </ul>
        """
    case .details(let details):
      """
      <ul class="details">
      \(details.map { "<li>\($0.name.htmlEscaped) <b>\($0.value.htmlEscaped)</b></li>" }
        .joined(separator: "\n"))
      </ul>
      """
    case .commands(let lines):
      """
      <pre class="wide"><code>\(lines.joined(separator: "\n").htmlEscaped)</code></pre>
      """
    case .table(let columns, let rows): Self.table(columns, rows.map(Self.row))
    case .picture(let picture, let caption):
      """
      <figure>
      \(picture.inlineSVG)\(caption.isEmpty
        ? "" : "\n<figcaption>\(caption.htmlEscaped)</figcaption>")
      </figure>
      """
    case .html(let text): text
    }
  }

  private static func html(_ figures: [HTMLPage.Figure]) -> String {
    let tiles = figures.map { figure in
      let unit = figure.unit.isEmpty ? "" : " <small>\(figure.unit.htmlEscaped)</small>"
      let note = figure.note.isEmpty ? "" : "<p>\(figure.note.htmlEscaped)</p>"
      return """
        <div><dd>\(figure.value.htmlEscaped)\(unit)</dd><dt>\(figure.name.htmlEscaped)</dt>\
        \(note)</div>
        """
    }
    return "<dl class=\"figures\">\n\(tiles.joined(separator: "\n"))\n</dl>"
  }

  private static func row(_ texts: [String]) -> String {
    let cells = texts.dropFirst().map { "<td>\($0.htmlEscaped)</td>" }
    return "<tr><th scope=\"row\">\((texts.first ?? "").htmlEscaped)</th>\(cells.joined())</tr>"
  }

  /// A table of rows that are HTML already.
  static func table(_ columns: [String], _ rows: [String]) -> String {
    let head = columns.map { "<th scope=\"col\">\($0.htmlEscaped)</th>" }.joined()
    return """
      <div class="wide"><table>
      <thead><tr>\(head)</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }
}
