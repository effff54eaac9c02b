import CarouselFormats
import Foundation
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct ReportTests {
  private static let names = [
    "lstm_forward_sequence", "gemm<16, 4> & \"co\"", "dW_'reduce'", "adam", "fill", "gather",
  ]

  private func report(_ rates: [(gflops: Double, intensity: Double)]) -> ProfileReport {
    let kernels = rates.indices.map { index in
      ProfileReport.Kernel(
        name: Self.names[index], launches: 10 * index + 3,
        totalSeconds: 0.0123 / Double(index + 1), share: 0.5 / Double(index + 1),
        gflops: rates[index].gflops,
        gigabytesPerSecond: rates[index].gflops / rates[index].intensity,
        arithmeticIntensity: rates[index].intensity,
        bound: ProfileReport.Bound.allCases[index % 3])
    }
    return ProfileReport(
      device: "cpu-<znver4> & co", driver: "PoCL \"3.1\"",
      peak: .init(gflops: 229.4, gigabytesPerSecond: 31.7),
      details: [("mode", "training"), ("steps", 25), ("<b>", 1.5)],
      wall: .init(
        medianSeconds: 0.0851, minSeconds: 0.0837, gflops: 240, neededGflops: 118.2,
        fractionOfPeak: 0.515),
      kernels: kernels)
  }

  private static let rates: [(gflops: Double, intensity: Double)] = [
    (121, 34), (198, 60), (11, 0.9), (2.1, 0.25), (0, 0), (.nan, .nan),
  ]

  @Test func everyKernelIsInThePageAndNothingUnescaped() throws {
    let html = report(Self.rates).html
    let rows = html.components(separatedBy: "<tr><th scope=\"row\">").dropFirst()
    let escaped = [
      "lstm_forward_sequence", "gemm&lt;16, 4&gt; &amp; &quot;co&quot;", "dW_&#39;reduce&#39;",
      "adam", "fill", "gather",
    ]
    #expect(rows.count == escaped.count)
    for (row, name) in zip(rows, escaped) { #expect(row.hasPrefix(name + "</th>")) }
    #expect(html.contains("cpu-&lt;znver4&gt; &amp; co") && !html.contains("<znver4>"))
    #expect(html.contains("<li>&lt;b&gt; <b>1.5</b></li>"))
    #expect(html.contains("229 GFLOP/s") && html.contains("31.7 <small>GB/s"))
    #expect(html.contains("85.1 <small>ms") && html.contains("51.5 <small>%"))
    #expect(html.contains("118 <small>GFLOP/s") && html.contains("nominal 240"))
    for outside in ["http:", "https:", "<script", "<link", "url(", "@import", "src="] {
      #expect(!html.contains(outside))
    }
  }

  @Test func thePlotIsWellFormedAndHoldsEachKernelThatComputes() throws {
    let html = report(Self.rates).html
    let start = try #require(html.range(of: "<svg"))
    let end = try #require(html.range(of: "</svg>"))
    let plot = try XMLDocument(xmlString: String(html[start.lowerBound..<end.upperBound]))
    #expect(try plot.nodes(forXPath: "//circle").count == 4)
    let labels = try plot.nodes(forXPath: "//text[contains(@class, 'kernel')]")
    #expect(Set(labels.compactMap(\.stringValue)) == Set(Self.names[..<4]))
    let roofs = try plot.nodes(forXPath: "//text[contains(@class, 'peak')]")
    #expect(roofs.compactMap(\.stringValue) == ["229 GFLOP/s measured", "31.7 GB/s measured"])
    for circle in try plot.nodes(forXPath: "//circle") {
      let element = try #require(circle as? XMLElement)
      for (name, range) in [("cx", 56.0...744), ("cy", 16...392), ("r", 4...16)] {
        let value = element.attribute(forName: name)?.stringValue.flatMap(Double.init)
        #expect(value.map(range.contains) == true, "\(name) of \(element)")
      }
    }
    let note = try #require(html.range(of: "Too little arithmetic"))
    #expect(html[note.upperBound...].hasPrefix(" for the plot: <code>fill</code>, <code>gather"))
  }

  @Test func aDotStandsWhereTheAxesSay() throws {
    let html = report([(229.4, 31.7), (229.4, 229.4 / 31.7), (22.94, 22.94 / 31.7)]).html
    let start = try #require(html.range(of: "<svg"))
    let end = try #require(html.range(of: "</svg>"))
    let plot = try XMLDocument(xmlString: String(html[start.lowerBound..<end.upperBound]))
    let roof = try #require(try plot.nodes(forXPath: "//polyline").first as? XMLElement)
    let points = try #require(roof.attribute(forName: "points")?.stringValue).split(separator: " ")
    let circles = try plot.nodes(forXPath: "//circle").compactMap { $0 as? XMLElement }
    func number(_ circle: XMLElement, _ name: String) throws -> Double {
      try #require(circle.attribute(forName: name)?.stringValue.flatMap(Double.init))
    }
    let corner = points[1].split(separator: ",").compactMap { Double($0) }
    // At the peak rate a dot lies on the flat roof, at the ridge on the corner.
    #expect(try abs(number(circles[0], "cy") - corner[1]) <= 0.11)
    #expect(try abs(number(circles[1], "cx") - corner[0]) <= 0.11)
    #expect(try abs(number(circles[1], "cy") - corner[1]) <= 0.11)
    // At a tenth of the ridge's intensity and rate it lies on the slope.
    let foot = points[0].split(separator: ",").compactMap { Double($0) }
    let (x, y) = (try number(circles[2], "cx"), try number(circles[2], "cy"))
    let slope = (corner[1] - foot[1]) / (corner[0] - foot[0])
    #expect(abs(foot[1] + slope * (x - foot[0]) - y) <= 0.3)
    #expect(x < corner[0] - 50)
  }

  @Test func aPeakThatWasNotMeasuredLeavesThePlotOut() {
    var report = report(Self.rates)
    report.peak.gflops = 0
    #expect(!report.html.contains("<svg") && report.html.contains("peak was not measured"))
  }

  @Test func theReportIsTheDocumentOfTheCommand() throws {
    let text = JSON.encode(report(Self.rates), pretty: true)
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(document["device"] as? String == "cpu-<znver4> & co")
    #expect((document["peak"] as? [String: Double])?["gigabytesPerSecond"] == 31.7)
    let details = try #require(document["case"] as? [String: Any])
    #expect(details["steps"] as? Int == 25 && details["mode"] as? String == "training")
    let wall = try #require(document["wall"] as? [String: Double])
    #expect(wall["medianSeconds"] == 0.0851 && wall["minSeconds"] == 0.0837)
    #expect(wall["gflops"] == 240 && wall["neededGflops"] == 118.2)
    #expect(wall["fractionOfPeak"] == 0.515)
    let kernels = try #require(document["kernels"] as? [[String: Any]])
    #expect(kernels.map { $0["name"] as? String } == Self.names)
    #expect(kernels.map { $0["launches"] as? Int } == [3, 13, 23, 33, 43, 53])
    #expect(kernels[1]["bound"] as? String == "memory")
    #expect(kernels[5]["gflops"] is NSNull)
  }

  @Test func theTraceHoldsEveryEventOnItsLine() throws {
    let folder = try TemporaryFolder()
    let events = Self.names.enumerated().map { index, name in
      ChromeTrace.Event(
        name, category: "kernel", startMicroseconds: 10.5 * Double(index + 1),
        durationMicroseconds: 3.25, thread: index % 2,
        arguments: ["gflops": .number(12.5), "launch": .integer(index), "from": "a/b"])
    }
    let path = folder.file("trace.json")
    try ChromeTrace(processName: "PoCL", threadNames: ["host", "queue"], events: events)
      .write(to: path)
    let data = Data(try [UInt8](contentsOfFile: path))
    let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(document["displayTimeUnit"] as? String == "ms")
    let records = try #require(document["traceEvents"] as? [[String: Any]])
    let work = records.filter { $0["ph"] as? String == "X" }
    #expect(work.map { $0["name"] as? String } == Self.names)
    #expect(work.map { $0["tid"] as? Int } == [0, 1, 0, 1, 0, 1])
    #expect(work.map { $0["ts"] as? Double } == [10.5, 21, 31.5, 42, 52.5, 63])
    #expect(work.allSatisfy { $0["dur"] as? Double == 3.25 && $0["cat"] as? String == "kernel" })
    #expect((work[3]["args"] as? [String: Any])?["launch"] as? Int == 3)
    let names = records.filter { $0["ph"] as? String == "M" }.map {
      (name: $0["name"] as? String, tid: $0["tid"] as? Int, args: $0["args"] as? [String: Any])
    }
    #expect(names.first { $0.name == "process_name" }?.args?["name"] as? String == "PoCL")
    let threads = names.filter { $0.name == "thread_name" }
    #expect(threads.map { $0.args?["name"] as? String } == ["host", "queue"])
    #expect(threads.map(\.tid) == [0, 1])
  }
}
