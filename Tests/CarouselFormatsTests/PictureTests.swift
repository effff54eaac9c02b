import Foundation
import Testing

@testable import CarouselFormats

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct PictureTests {
  private func elements(_ picture: any Picture, _ path: String) throws -> [XMLElement] {
    try XMLDocument(xmlString: picture.inlineSVG).nodes(forXPath: path).compactMap {
      $0 as? XMLElement
    }
  }

  private func number(_ element: XMLElement, _ name: String) throws -> Double {
    try #require(element.attribute(forName: name)?.stringValue.flatMap(Double.init))
  }

  private func points(_ element: XMLElement) throws -> [[Double]] {
    try #require(element.attribute(forName: "points")?.stringValue).split(separator: " ").map {
      $0.split(separator: ",").compactMap { Double($0) }
    }
  }

  @Test func aLinearAxisEndsAtRoundNumbers() {
    let axis = ChartAxis(.linear, holding: 0.03...0.97, pixels: (300, 100), count: 5)
    #expect(axis.range == 0...1 && axis.ticks.count == 6)
    #expect(zip(axis.ticks, [0, 0.2, 0.4, 0.6, 0.8, 1]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(axis.position(0.25) == 250)
    let tight = ChartAxis(.linear, holding: 1...30, pixels: (0, 29), tight: true, count: 6)
    #expect(tight.range == 1...30 && tight.ticks == [5, 10, 15, 20, 25, 30])
    #expect(tight.position(1) == 0 && tight.position(30) == 29)
    #expect(ChartAxis(.linear, holding: 3...3, pixels: (0, 1)).range.contains(3))
  }

  @Test func aLogarithmicAxisHoldsManyDecades() {
    let axis = ChartAxis(holding: 3e-34...0.9, pixels: (340, 0), count: 6)
    #expect(axis.range == 2e-34...1)
    #expect(axis.ticks.count >= 4 && axis.ticks.count <= 9)
    #expect(abs(axis.position(2e-34) - 340) < 1e-9 && axis.position(1) == 0)
    let step = log10(axis.ticks[1] / axis.ticks[0])
    for (tick, next) in zip(axis.ticks, axis.ticks.dropFirst()) {
      #expect(abs(log10(next / tick) - step) < 1e-9)
    }
    let short = ChartAxis(holding: 15...450, pixels: (0, 1))
    #expect(short.range == 10...500 && short.ticks == [10, 20, 50, 100, 200, 500])
    #expect(axis.ticks.last == 1 && axis.holds(1.000_000_1) && !axis.holds(3))
    #expect(!axis.holds(0) && !axis.holds(.nan) && !axis.holds(.infinity) && axis.holds(1e-10))
  }

  @Test(arguments: [
    (0.0, "0"), (0.25, "0.25"), (2000, "2000"), (25_000, "25k"), (3e6, "3M"), (0.001, "0.001"),
    (1e-5, "10<tspan dy=\"-.4em\" font-size=\"75%\">-5</tspan>"),
  ])
  func ticksAreShort(value: Double, text: String) {
    #expect(value.tickLabel == text)
  }

  @Test func curvesLieWhereTheirAxesSay() throws {
    let chart = LineChart(
      "two <lines> & \"more\"", x: .init("step"), y: .init("loss", scale: .logarithmic),
      series: [
        .init("a<b>", values: [1, 10, .nan, 100, 1000, 0, 10]),
        .init(
          "c & 'd'",
          points: [
            .init(x: 1, y: 10, spread: 1...100), .init(x: 7, y: 100, spread: 100...1000),
          ], style: .dashed),
      ], marks: [.init(y: 100, name: "chance")])
    let curves = try elements(chart, "//polyline")
    let (first, second) = (try points(curves[0]), try points(curves[1]))
    #expect(curves.count == 3 && first.count == 2 && second.count == 2)
    let dashed = try points(curves[2])
    // 1 to 1000 are three equal distances, and x runs over the whole width.
    let decade = first[0][1] - first[1][1]
    #expect(decade == 100 && abs(second[0][1] - second[1][1] - decade) < 0.11)
    #expect(first[0][0] == ChartFrame.left && dashed[1][0] == ChartFrame.right)
    #expect(abs(first[1][0] - first[0][0] - (dashed[1][0] - dashed[0][0]) / 6) < 0.11)
    // What stands alone between gaps is a dot.
    #expect(try elements(chart, "//circle").count == 1)
    let band = try points(try #require(try elements(chart, "//polygon").first))
    #expect(
      band.map(\.[1]) == [first[0][1] - 200, first[0][1] - 300, first[0][1] - 200, first[0][1]])
    let mark = try #require(try elements(chart, "//line[@class='mark']").first)
    #expect(try number(mark, "y1") == first[0][1] - 200)
    let names = try elements(chart, "//text[@class='strong']").compactMap(\.stringValue)
    #expect(names == ["a<b>", "c & 'd'"])
  }

  @Test func dotsHaveTheirNamesBesideThem() throws {
    let chart = LineChart(
      "front", x: .init("parameters", scale: .logarithmic), y: .init("loss"),
      series: [
        .init(
          "ways",
          points: (0..<6).map {
            .init(x: 1000 * Double($0 + 1), y: 2, spread: 1.5...2.5, name: "way <\($0)>")
          }, style: .dots)
      ])
    #expect(try elements(chart, "//circle").count == 7)
    #expect(try elements(chart, "//line[@class='whisker']").count == 6)
    let names = try elements(chart, "//text[contains(@class, 'halo')]")
    #expect(Set(names.compactMap(\.stringValue)) == Set((0..<6).map { "way <\($0)>" }))
    let places = try names.map { (try number($0, "x"), try number($0, "y")) }
    for (index, place) in places.enumerated() {
      #expect(
        places[..<index].allSatisfy { abs($0.0 - place.0) > 60 || abs($0.1 - place.1) >= 14 })
    }
  }

  @Test func aNameFarFromItsDotHasALineFromIt() throws {
    let crowd = (0..<8).map {
      LineChart.Point(x: 100 + Double($0), y: 2, name: "one of several ways, \($0)")
    }
    let chart = LineChart(
      "crowd", x: .init("parameters"), y: .init("loss"),
      series: [
        .init(
          "ways", points: crowd + [.init(x: 0, y: 1), .init(x: 1000, y: 3)], style: .dots)
      ])
    let leads = try elements(chart, "//line[@class='lead']")
    let dots = try elements(chart, "//circle[@r='5']").map { try number($0, "cx") }
    #expect((1..<8).contains(leads.count))
    #expect(try leads.allSatisfy { dots.contains(try number($0, "x1")) })
  }

  @Test func aChartOfNothingIsEmpty() throws {
    let chart = LineChart(
      "nothing", x: .init("x"), y: .init("y", scale: .logarithmic),
      series: [.init("none", values: [0, .nan, -1])])
    #expect(try elements(chart, "//polyline").isEmpty)
    #expect(try elements(chart, "//line[@class='grid']").count > 4)
  }

  @Test func barsAreAsLongAsTheirValues() throws {
    let chart = BarChart(
      "bars", axis: .init("loss"), series: ["first", "second"],
      groups: [
        .init("a & b", [.init(1), .init(2, spread: 1...3)]), .init("c", [nil, .init(.nan)]),
        .init("d", [.init(4), nil]),
      ], mark: .init(y: 2, name: "chance"))
    let bars = try elements(chart, "//rect")
    let widths = try bars.map { try number($0, "width") }
    #expect(widths.count == 4)
    #expect(abs(widths[1] - 2 * widths[0]) < 0.21 && abs(widths[3] - 4 * widths[0]) < 0.41)
    #expect(widths[2] == 1)
    let whisker = try #require(try elements(chart, "//line[@class='whisker']").first)
    let length = try number(whisker, "x2") - number(whisker, "x1")
    #expect(abs(length - widths[1]) < 0.21)
    let mark = try #require(try elements(chart, "//line[@class='mark']").first)
    #expect(abs(try number(mark, "x1") - number(bars[1], "x") - widths[1]) < 0.11)
    let texts = try elements(chart, "//text").compactMap(\.stringValue)
    #expect(texts.contains("a & b") && texts.contains("first") && texts.contains("–"))
  }

  @Test func cellsAreColouredByTheirValues() throws {
    let strip = HeatStrip(
      "a text",
      rows: [
        .init("unit 3", values: [-1, 0.5, 0, .nan, 7], characters: ["<", "&", " ", "x", "y"]),
        .init("unit 4", values: [1, 1]),
      ], columns: 3)
    let cells = try elements(strip, "//rect")
    let looks = cells.map { cell in
      ["fill", "fill-opacity"].compactMap { cell.attribute(forName: $0)?.stringValue }
    }
    #expect(
      looks == [
        ["var(--a)", "0.75"], ["var(--b)", "0.38"], ["var(--b)", "0.75"], ["var(--b)", "0.75"],
        ["var(--b)", "0.75"],
      ])
    // The fifth cell is the second of the second line.
    #expect(try number(cells[2], "x") == number(cells[1], "x"))
    #expect(try number(cells[2], "y") == number(cells[1], "y") + 24)
    let characters = try elements(strip, "//text[@class='cell']").compactMap(\.stringValue)
    #expect(characters == ["<", "&", "x", "y"])
    #expect(try number(cells[4], "y") < strip.height - 20)
  }

  @Test func aPictureOfItsOwnBringsItsColours() throws {
    let folder = try TemporaryFolder()
    let chart = LineChart(
      "<x>", x: .init("x"), y: .init("y"), series: [.init("s", values: [1, 2])])
    let path = folder.file("p.svg")
    try chart.write(to: path)
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(try XMLDocument(xmlString: text).rootElement()?.name == "svg")
    #expect(text.contains("aria-label=\"&lt;x&gt;\""))
    #expect(text.contains("prefers-color-scheme: dark") && text.contains("max-width: 560px"))
    for name in PageTheme.series + ["--ground", "--ink", "--quiet", "--line"] {
      #expect(text.components(separatedBy: "\(name): #").count == 3, "\(name)")
    }
    #expect(!chart.inlineSVG.contains("<style>"))
  }

  @Test func aPageNeedsNothingElseAndEscapesItsTexts() throws {
    let page = HTMLPage(
      kind: "k<", title: "t & u", subtitle: "s<",
      blocks: [
        .heading("h<"), .paragraph("p<"), .note("n<"), .finding("f<"), .list(["l<"]),
        .figures([.init("1<", unit: "u<", name: "m<", note: "o<")]),
        .details([("d<", "v<")]), .commands(["carousel a > b", "c"]),
        .table(columns: ["c<", "x"], rows: [["r<", "1"], ["q", "2"]]),
        .picture(
          LineChart("x", x: .init("x"), y: .init("y"), series: [.init("s", values: [1, 2])]),
          caption: "y<"), .html("<em>kept</em>"),
      ])
    let html = page.html
    for text in "kshpnflumodvcry1" { #expect(html.contains("\(text)&lt;"), "\(text)") }
    let body = try #require(html.range(of: "<body>"))
    let end = try #require(html.range(of: "</body>"))
    let document = try XMLDocument(xmlString: String(html[body.lowerBound..<end.upperBound]))
    #expect(try document.nodes(forXPath: "//tbody/tr").count == 2)
    #expect(try document.nodes(forXPath: "//svg").count == 1)
    #expect(try document.nodes(forXPath: "//em").count == 1)
    let code = try document.nodes(forXPath: "//pre/code").first?.stringValue
    #expect(code == "carousel a > b\nc")
    for outside in ["http:", "https:", "<script", "<link", "url(", "@import", "src="] {
      #expect(!html.contains(outside))
    }
  }
}
