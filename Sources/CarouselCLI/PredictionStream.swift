import Carousel

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
