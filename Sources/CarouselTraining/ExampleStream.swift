import CarouselFormats
import CarouselModel

/// A model that reads a step a line from standard input and says after each what it makes of all so far.
///
/// Steps are rows of a table with a header, whose columns have the names of training, or words. The states
/// are kept from one step to the next; of forecasts the last window is.
public final class ExampleStream<B: Backend> {
  private let model: ExampleModel<B>
  private let missing: MissingValues
  private let pass: NetworkPass<B>?
  /// The passes over windows, once there is one.
  private var windows: ExamplePasses<B>?
  private var table: TableReader?
  private var columns: [Int] = []
  private var words: LineReader?
  private var steps = 0
  /// The sum of the outputs, for their mean; the numbers that were read last.
  private var sum: [Double] = []
  private var last: [Double]
  private var history: [Double] = []

  /// Opens standard input; throws where the model reads backward in time too, and cannot answer at once.
  public init(_ model: ExampleModel<B>, missing: MissingValues? = nil) throws {
    guard [.classify, .forecast, .tag].contains(model.task) else {
      throw CarouselError(
        .usage, "a model of the task \(model.task.rawValue) does not answer a step at once")
    }
    let description = model.description
    let direction = model.network.configuration.recurrent.direction
    guard direction == .forward || model.task == .forecast else {
      throw CarouselError(
        .usage,
        "a step can be answered at once by a model whose direction is forward, but it is "
          + direction.rawValue)
    }
    self.model = model
    self.missing = missing ?? description.settings.missing
    last = [Double](repeating: 0, count: description.channels.count)
    pass =
      model.task == .forecast
      ? nil : try NetworkPass(model.network, sequenceLength: 1, batchSize: 1, purpose: .outputs)
    if model.task == .tag {
      words = try LineReader("-")
      return
    }
    let table = try TableReader("-", hasHeader: description.settings.columns.hasHeader)
    for name in description.channels {
      columns.append(try table.index(of: name, option: "the model"))
    }
    self.table = table
  }

  /// What the model says after the next step; nil at the end of standard input.
  public func next() throws -> ExamplePrediction? {
    if let words { return try tag(words) }
    while let table, try table.next() {
      for (channel, column) in columns.enumerated() {
        switch table.number(column) {
        case .number(let number): last[channel] = number
        case .missing where missing == .zero: last[channel] = 0
        case .missing where missing == .forward: break
        default: last[channel] = Double(try table.value(column, .error))
        }
      }
      steps += 1
      if model.task == .classify { return try classify() }
      history += last
      if let numbers = try forecast() { return numbers }
    }
    return nil
  }

  private func outputs(_ input: NetworkInput) throws -> [Double] {
    guard let pass else { return [] }
    try pass.forward(input)
    return try model.network.backend.read(
      pass.logits, count: model.network.configuration.outputSize)
  }

  private func classify() throws -> ExamplePrediction {
    let description = model.description
    let scaled = last.indices.map { channel in
      Double(
        (Float(last[channel]) - Float(description.mean[channel]))
          / Float(description.scale[channel]))
    }
    var logits = try outputs(.features(scaled))
    if description.settings.pooling == .mean {
      sum = sum.isEmpty ? logits : zip(sum, logits).map { $0 + $1 }
      logits = sum.map { $0 / Double(steps) }
    }
    return .class(
      id: nil, name: (description.classes ?? [])[logits.indexOfLargest],
      probabilities: CrossEntropy.probabilities(logits))
  }

  private func tag(_ lines: LineReader) throws -> ExamplePrediction? {
    let description = model.description
    while let line = try lines.next() {
      let cells = line.split(whereSeparator: \.isWhitespace)
      guard let word = cells.first.map(String.init) else {
        // An empty line ends a sequence.
        try pass?.resetStates()
        continue
      }
      steps += 1
      let token = description.words?.firstIndex(of: word).map { Int32($0 + 1) } ?? 0
      let logits = try outputs(.tokens([token]))
      let tag = (description.classes ?? [])[logits.indexOfLargest]
      return .tags(
        id: nil, sequence: 1, words: [(word, tag, CrossEntropy.probabilities(logits))])
    }
    return nil
  }

  private func forecast() throws -> ExamplePrediction? {
    let description = model.description
    let size = description.settings.window * description.channels.count
    guard history.count >= size else { return nil }
    history.removeFirst(history.count - size)
    let set = SeriesSet(
      targets: description.settings.targets, covariates: description.settings.covariates,
      values: history)
    let examples = try ForecastExamples(endsOf: set, description)
    let batch = examples.batch([0], sequenceLength: description.settings.window, batchSize: 1)
    let passes = windows ?? ExamplePasses(model.network, examples, training: false)
    windows = passes
    return .numbers(id: nil, examples.predictions(try passes.outputs(batch), 0))
  }
}
