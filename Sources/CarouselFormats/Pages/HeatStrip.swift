/// Rows of cells coloured by a value from −1 (blue) over 0 (nothing) to 1 (orange), each cell with a
/// character where it has one: a text coloured by what a unit does while it is read.
package struct HeatStrip: Picture {
  /// A row, or a long one cut to several.
  package struct Row: Sendable {
    /// What is written above.
    package var name: String
    /// The values of the cells; what is not finite has no colour.
    package var values: [Double]
    /// What is written into the cells, as many as values; empty where nothing is.
    package var characters: [Character]

    /// Makes a row.
    package init(_ name: String, values: [Double], characters: [Character] = []) {
      precondition(characters.isEmpty || characters.count == values.count)
      self.name = name
      self.values = values
      self.characters = characters
    }
  }

  /// What the picture shows, for those who cannot see it.
  package let label: String
  /// The rows from the top.
  package let rows: [Row]
  /// After how many cells a row goes on below.
  package let columns: Int
  private static let cellHeight = 24.0

  /// Makes a picture.
  package init(_ label: String, rows: [Row], columns: Int = 56) {
    precondition(columns >= 1)
    self.label = label
    self.rows = rows
    self.columns = columns
  }

  /// The extents of the picture.
  package var width: Double { ChartFrame.width }
  /// In the same units.
  package var height: Double { 12 + rows.reduce(0) { $0 + height(of: $1) } }

  private func height(of row: Row) -> Double {
    ChartFrame.row + 10 + Self.cellHeight * Double((row.values.count + columns - 1) / columns)
  }

  /// The picture's elements.
  package var drawing: String {
    let extent = (ChartFrame.width - 16) / Double(columns)
    var top = 8.0
    var parts: [String] = []
    for row in rows {
      parts.append(
        """
        <text class="strong" x="8" y="\((top + 14).fixed(1))">\(row.name.htmlEscaped)</text>
        """)
      for (index, value) in row.values.enumerated() {
        let x = 8 + extent * Double(index % columns)
        let y = top + ChartFrame.row + Self.cellHeight * Double(index / columns)
        if value.isFinite, value.magnitude >= 0.005 {
          parts.append(
            """
            <rect x="\(x.fixed(1))" y="\(y.fixed(1))" width="\((extent + 0.1).fixed(1))" \
            height="\(Self.cellHeight - 2)" fill="\(PageTheme.colour(value < 0 ? 0 : 1))" \
            fill-opacity="\((min(value.magnitude, 1) * 0.75).fixed(2))"/>
            """)
        }
        if !row.characters.isEmpty, row.characters[index] != " " {
          parts.append(
            """
            <text class="cell" x="\((x + extent / 2).fixed(1))" y="\((y + 16).fixed(1))" \
            text-anchor="middle">\(String(row.characters[index]).htmlEscaped)</text>
            """)
        }
      }
      top += height(of: row)
    }
    return parts.joined(separator: "\n")
  }
}
