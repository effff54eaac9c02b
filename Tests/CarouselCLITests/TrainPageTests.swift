import Foundation
import Testing

/// The page of a run.
@Suite struct TrainPageTests {
  private let data = try? OwnData()

  private func page(_ words: [String]) throws -> String {
    let data = try #require(data)
    let file = data.folder["page.html"]
    let command = try Command(
      ["train"] + words + OwnData.small
        + ["--log-every", "1", "--output", data.folder["run"], "--report", file])
    #expect(command.status == 0, "\(command.errors)")
    let html = try String(contentsOfFile: file, encoding: .utf8)
    // It needs nothing else, and has no number that is none.
    for reference in ["src=", "href=", "url(", "@import", "nan", "inf,"] {
      #expect(!html.lowercased().contains(reference), "\(reference)")
    }
    return html
  }

  @Test func aForecastStandsBesideTheTruthWithItsBand() throws {
    let html = try page([
      "forecast", #require(data).series(), "--target", "y", "--time", "time", "--window", "12",
      "--horizon", "8", "--loss", "quantile:0.1,0.5,0.9", "--test", "0.3",
    ])
    #expect(html.contains("up to 8 steps ahead, of the test part, with the band"))
    #expect(html.contains("class=\"band\"") && html.contains("class=\"curve dashed\""))
    for text in ["carousel train forecast", "MASE", "learning rate", "norm of the gradient"] {
      #expect(html.contains(text), "\(text)")
    }
  }

  @Test func aClassifierHasItsConfusion() throws {
    let html = try page([
      "classify", #require(data).classes(), "--id", "id", "--time", "time", "--label", "label",
      "--test", "0.25",
    ])
    #expect(html.contains("was taken for each, a column (test)"))
    #expect(html.contains("<th scope=\"col\">down</th>") && html.contains("accuracy"))
  }

  @Test func aTextHasASample() throws {
    let html = try page(["text", #require(data).text(), "--sequence-length", "8"])
    #expect(html.contains("What it writes of itself") && html.contains("bits per byte"))
  }

  @Test func aPageThatCannotBeWrittenIsSaidBeforeTheRun() throws {
    let run = try #require(data).folder["never"]
    let command = try Command(
      ["train", "adding", "--steps", "4"] + OwnData.small
        + ["--output", run, "--report", "/nowhere/page.html"])
    #expect(command.status == 74 && command.isOneSentence, "\(command.errors)")
    #expect(!FileManager.default.fileExists(atPath: run))
  }
}
