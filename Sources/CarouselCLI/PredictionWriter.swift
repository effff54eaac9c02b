import Carousel

/// Writes predictions: CSV with a header, or a JSON object a line.
final class PredictionWriter {
  private let description: DataDescription
  private let json: Bool, probabilities: Bool
  private var buffer = ""
  private var hasHeader = false

  init(_ description: DataDescription, json: Bool, probabilities: Bool) {
    self.description = description
    (self.json, self.probabilities) = (json, probabilities)
  }

  /// Writes what a model says of an example.
  func write(_ prediction: ExamplePrediction) throws {
    switch prediction {
    case .class(let id, let name, let probabilities):
      try write(
        [("id", id.map(JSONScalar.text)), ("prediction", .text(name))], probabilities)
    case .tags(let id, let sequence, let words):
      for (word, tag, probabilities) in words {
        try write(
          [
            ("id", id.map(JSONScalar.text) ?? .integer(sequence)), ("word", .text(word)),
            ("prediction", .text(tag)),
          ], probabilities)
      }
    case .numbers(let id, let numbers):
      for number in numbers { try write(columns(number, id)) }
    }
    if buffer.utf8.count > 1 << 16 { try flush() }
  }

  /// Writes what is left.
  func finish() throws { try flush() }

  /// Writes what is there at once.
  func flush() throws {
    guard !buffer.isEmpty else { return }
    try Output.write(Array(buffer.utf8))
    buffer = ""
  }

  private func columns(_ number: ForecastNumber, _ id: String?) -> [(String, JSONScalar?)] {
    var result: [(String, JSONScalar?)] = [
      ("id", id.map(JSONScalar.text)), ("step", .integer(number.ahead)),
    ]
    if description.settings.targets.count > 1 { result.append(("target", .text(number.target))) }
    result.append(("prediction", .number(number.value)))
    if case .quantile(let levels) = description.settings.loss {
      for (level, value) in zip(levels, number.quantiles) {
        result.append(("q\(level)", .number(value)))
      }
    }
    if let deviation = number.deviation {
      result.append(("standardDeviation", .number(deviation)))
    }
    return result
  }

  private func write(_ cells: [(String, JSONScalar?)], _ probabilities: [Double] = []) throws {
    let cells = cells.compactMap { name, value in value.map { (name, $0) } }
    let named = self.probabilities ? Array(zip(description.classes ?? [], probabilities)) : []
    if json {
      let pairs = cells.map { "\(JSON.encode($0)):\(JSON.encode($1))" }
      let classes = named.map { "\(JSON.encode($0)):\(JSON.encode($1))" }
      let last = named.isEmpty ? [] : ["\"probabilities\":{\(classes.joined(separator: ","))}"]
      buffer += "{\((pairs + last).joined(separator: ","))}\n"
      return
    }
    if !hasHeader {
      buffer += (cells.map(\.0) + named.map(\.0)).map(Self.quoted).joined(separator: ",") + "\n"
      hasHeader = true
    }
    let values = cells.map { Self.quoted($1.description) } + named.map { "\($1)" }
    buffer += values.joined(separator: ",") + "\n"
  }

  /// A cell as RFC 4180 has it.
  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}

/// Answers each step of standard input at once.
struct PredictionStream<B: Backend> {
  private let stream: ExampleStream<B>
  private let writer: PredictionWriter

  init(
    _ model: ExampleModel<B>, _ writer: PredictionWriter, missing: MissingValues?
  ) throws {
    stream = try ExampleStream(model, missing: missing)
    self.writer = writer
  }

  /// Reads to the end of standard input.
  func run() throws {
    while let prediction = try stream.next() {
      try writer.write(prediction)
      try writer.flush()
    }
  }
}
