import CarouselFormats
import CarouselModel
import Foundation
import Testing

@Suite struct JSONTests {
  private struct Metrics: Codable, Equatable {
    var step: Int
    var loss: Double?
    var note: String?
  }

  @Test func keysAreSortedSlashesStayAndWhatIsNotFiniteIsNull() {
    struct Value: Encodable {
      var z = [Double.nan, .infinity, -.infinity, 0.1, -3]
      var path = "a/b \"c\" ä"
      var single = Float(0.1)
      var a: Int? = nil
    }
    #expect(
      JSON.encode(Value())
        == #"{"path":"a/b \"c\" ä","single":0.1,"z":[null,null,null,0.1,-3]}"#)
    #expect(JSON.encode(["b": 1, "a": 2], pretty: true) == "{\n  \"a\" : 2,\n  \"b\" : 1\n}")
    #expect(JSON.encode(Double.nan) == "null")
  }

  @Test func scalarsAreBare() {
    let values: [JSONScalar] = ["x", 3, 2.5, true, .number(.nan)]
    #expect(JSON.encode(values) == #"["x",3,2.5,true,null]"#)
    #expect(values.map(\.description) == ["x", "3", "2.5", "true", "nan"])
  }

  @Test func linesAreAppendedAcrossRunsAndReadBack() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("metrics.jsonl")
    let all = (1...5).map { Metrics(step: $0, loss: 1 / Double($0), note: "line\nbreak") }
    let first = try JSONLines(appendingTo: path)
    for metrics in all[..<3] { try first.append(metrics) }
    #expect(try JSONLines.read(Metrics.self, from: path) == Array(all[..<3]))
    let second = try JSONLines(appendingTo: path)
    for metrics in all[3...] { try second.append(metrics) }
    #expect(try JSONLines.read(Metrics.self, from: path) == all)
    try second.append(Metrics(step: 6, loss: .nan))
    #expect(try JSONLines.read(Metrics.self, from: path).last == Metrics(step: 6))
  }

  @Test(arguments: [#"{"step":3,"#, "{", #"{"step":3,"loss":0.5}"#])
  func aTornLastLineIsNeitherReadNorGluedToTheNext(_ torn: String) throws {
    let folder = try TemporaryFolder()
    let whole = "{\"step\":1}\n{\"step\":2}\n"
    let path = try folder.file("metrics.jsonl", holding: Array((whole + torn).utf8))
    #expect(try JSONLines.read(Metrics.self, from: path).map(\.step) == [1, 2])
    try JSONLines(appendingTo: path).append(Metrics(step: 7))
    #expect(try String(contentsOfFile: path, encoding: .utf8) == whole + "{\"step\":7}\n")
  }

  @Test(arguments: 0...4) func linesAfterAStepAreCut(_ last: Int) throws {
    let folder = try TemporaryFolder()
    let lines = (1...3).map { "{ \"extra\": [\($0)], \"step\": \($0) }\n" }
    let path = try folder.file("m", holding: Array((lines.joined() + "{\"st").utf8))
    let damaged = try JSONLines.cut(path, keeping: Metrics.self) { $0.step <= last }
    #expect(damaged == (last < 3 ? [] : [4]))
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text == lines.prefix(last).joined())
    #expect(try folder.names == ["m"])
  }

  @Test func aMissingFileStaysMissingWhenCut() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("none")
    #expect(try JSONLines.cut(path, keeping: Metrics.self) { _ in true } == [])
    #expect(try folder.names.isEmpty)
    let error = failure { () throws(CarouselError) in
      _ = try JSONLines.read(Metrics.self, from: path)
    }
    #expect(error?.kind == .missingInput)
  }

  @Test(arguments: [
    "{\"step\":1}\nnonsense\n", "{\"step\":1}\n\n", "{\"step\":1}\n{\"step\":\"x\"}\n",
  ])
  func aDamagedLineIsNamedByItsNumberAndCutOut(_ text: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("m", holding: Array((text + "{\"step\":3}\n").utf8))
    let error = failure { () throws(CarouselError) in
      _ = try JSONLines.read(Metrics.self, from: path)
    }
    #expect(error?.kind == .badData)
    #expect(error?.message.hasPrefix("\(path): line 2 ") == true)
    #expect(try JSONLines.cut(path, keeping: Metrics.self) { _ in true } == [2])
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "{\"step\":1}\n{\"step\":3}\n")
  }

  @Test func aFailedAppendNamesTheFile() throws {
    let folder = try TemporaryFolder()
    for path in [folder.path, folder.file("none/m")] {
      let error = failure { () throws(CarouselError) in _ = try JSONLines(appendingTo: path) }
      #expect(error?.kind == .writeFailed)
      #expect(error?.message.hasPrefix(path + ": ") == true)
    }
  }
}
