/// The parts that charts share: the legend, the grid with its numbers, and the titles of the axes.
struct ChartFrame {
  /// The width of every chart.
  static let width = 640.0
  /// The edges of the plot's area to the left and right.
  static let left = 72.0, right = 616.0
  /// The height of a row of the legend or a title.
  static let row = 24.0

  /// An entry of the legend.
  struct Entry {
    let name: String
    let colour: String
    var isDashed = false
    var isDot = false
  }

  /// The entries in rows that are full, with the pixel where each begins.
  let legend: [[(x: Double, entry: Entry)]]
  /// The title of the vertical axis, which stands over it; an empty one takes no room.
  let title: String
  /// Where the plot's area begins below title and legend.
  var top: Double {
    16 + Self.row * Double(legend.count + (title.isEmpty ? 0 : 1))
  }

  init(title: String, entries: [Entry]) {
    self.title = title
    var rows: [[(x: Double, entry: Entry)]] = []
    var x = Double.infinity
    for entry in entries where !entry.name.isEmpty {
      let width = PictureStyle.width(of: entry.name) + 44
      if x + width > Self.width, x > 8 {
        rows.append([])
        x = 8
      }
      rows[rows.count - 1].append((x, entry))
      x += width
    }
    legend = rows
  }

  /// The legend, and under it the title.
  var head: String {
    let entries = legend.enumerated().flatMap { index, row in
      row.map { place in
        let y = 18 + Self.row * Double(index)
        let (x, entry) = (place.x, place.entry)
        let sample =
          entry.isDot
          ? """
          <circle cx="\((x + 11).fixed(1))" cy="\(y.fixed(1))" r="5" fill="\(entry.colour)"/>
          """
          : """
          <line class="curve\(entry.isDashed ? " dashed" : "")" stroke="\(entry.colour)" \
          x1="\(x.fixed(1))" y1="\(y.fixed(1))" x2="\((x + 22).fixed(1))" y2="\(y.fixed(1))"/>
          """
        return sample + """
          <text class="strong" x="\((x + 28).fixed(1))" y="\(y.fixed(1))" dy=".33em">\
          \(entry.name.htmlEscaped)</text>
          """
      }
    }
    let over = """
      <text x="8" y="\((18 + Self.row * Double(legend.count)).fixed(1))" dy=".33em">\
      \(title.htmlEscaped)</text>
      """
    return (entries + (title.isEmpty ? [] : [over])).joined(separator: "\n")
  }

  /// The vertical lines of the horizontal axis with its numbers and its title, from `top` to `bottom`.
  static func columns(_ axis: ChartAxis, title: String, top: Double, bottom: Double) -> String {
    let lines = axis.ticks.map { value in
      let at = axis.position(value).fixed(1)
      return """
        <line class="grid" x1="\(at)" y1="\(top.fixed(1))" x2="\(at)" y2="\(bottom.fixed(1))"/>\
        <text x="\(at)" y="\((bottom + 20).fixed(1))" text-anchor="middle">\(value.tickLabel)</text>
        """
    }
    let middle = (axis.pixels.0 + axis.pixels.1) / 2
    return
      (lines + [
        """
        <text x="\(middle.fixed(1))" y="\((bottom + 44).fixed(1))" text-anchor="middle">\
        \(title.htmlEscaped)</text>
        """
      ]).joined(separator: "\n")
  }

  /// The horizontal lines of the vertical axis with its numbers.
  static func rows(_ axis: ChartAxis) -> String {
    axis.ticks.map { value in
      let at = axis.position(value).fixed(1)
      return """
        <line class="grid" x1="\(left)" y1="\(at)" x2="\(right)" y2="\(at)"/>\
        <text x="\(left - 8)" y="\(at)" dy=".33em" text-anchor="end">\(value.tickLabel)</text>
        """
    }.joined(separator: "\n")
  }
}
