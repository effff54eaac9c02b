import CarouselFormats
import CarouselModel
import Foundation
import Testing

@testable import CarouselTraining

/// The losses and metrics of tasks on one's own data.
@Suite struct ExampleLossTests {
  private static let random = Philox(seed: 11, stream: 12)

  private static func numbers(_ count: Int, from first: Int = 0) -> [Double] {
    (0..<count).map { random.normal(first + $0) }
  }

  /// Slopes equal central differences of the sum.
  private func check(
    _ examples: any SequenceExamples, rows: Int, width: Int, step: Double = 1e-6,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let indices = Array(0..<examples.count)
    let batchSize = examples.count + 1
    let batch = examples.batch(indices, sequenceLength: examples.longest, batchSize: batchSize)
    let values = Self.numbers(rows * batchSize * width)
    func loss(_ values: [Double], _ gradient: inout [Double]?) -> LossSum {
      examples.loss(
        BatchOutputs(values: values, batchSize: batchSize, width: width), batch,
        gradient: &gradient)
    }
    var gradient: [Double]? = [Double](repeating: 0, count: values.count)
    let weight = loss(values, &gradient).weight
    var none: [Double]?
    for index in values.indices {
      var (above, below) = (values, values)
      above[index] += step
      below[index] -= step
      let (a, b) = (loss(above, &none), loss(below, &none))
      let difference = (a.sum - b.sum) / (2 * step)
      let slope = gradient?[index] ?? .nan
      #expect(
        abs(difference - slope) <= 1e-7 * max(1, abs(slope)) + 4 * .ulpOfOne * abs(a.sum) / step,
        "\(index)",
        sourceLocation: sourceLocation)
      #expect(a.weight == weight)
    }
  }

  private static func classes(_ pooling: Pooling, smoothing: Double) throws -> ClassExamples {
    var set = SequenceSet(source: "x", channels: ["1"])
    for (length, label) in [(1, "a"), (3, "c"), (2, "b"), (4, "a")] {
      set.values += (0..<length).map { Float($0) }
      set.starts.append(set.values.count)
      set.labels.append(label)
    }
    var settings = DataSettings(file: "x")
    settings.pooling = pooling
    var description = DataDescription(settings: settings)
    description.channels = ["1"]
    (description.mean, description.scale) = ([1], [2])
    description.classes = ["a", "b", "c"]
    return try ClassExamples(set, description, weights: [0.5, 1, 2], smoothing: smoothing)
  }

  @Test(arguments: [(Pooling.last, 0.0), (.mean, 0.1)])
  func slopesOfClassesAreThoseOfTheirLoss(pooling: Pooling, smoothing: Double) throws {
    try check(Self.classes(pooling, smoothing: smoothing), rows: 1, width: 3)
  }

  @Test func slopesOfTagsAreThoseOfTheirLoss() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/x"
    try Data("a O\nb B-X\nc I-X\n\na O\n".utf8).write(to: URL(fileURLWithPath: path))
    var description = DataDescription(settings: DataSettings(file: path))
    description.words = ["a", "b"]
    description.classes = ["B-X", "I-X", "O"]
    let examples = try TagExamples(TaggedSet(columns: path), description, smoothing: 0.2)
    #expect(examples.tokens == [[1, 2, 0], [1]])
    try check(examples, rows: 3, width: 3)
  }

  private static func forecast(_ loss: ForecastLoss, season: Int, series: Int) -> ForecastExamples {
    var settings = DataSettings(file: "x")
    (settings.window, settings.horizon, settings.season) = (4, 3, season)
    (settings.targets, settings.loss) = (["a", "b"], loss)
    var set = SeriesSet(targets: ["a", "b"], covariates: ["c"], values: numbers(12 * 3))
    for extra in 1..<max(series, 1) {
      set.values.append(numbers(12 * 3, from: 100 * extra))
      set.ids.append("\(extra)")
    }
    let windows = set.values.indices.map { ForecastExamples.Window(series: $0, last: 5) }
    return ForecastExamples(
      set: set, windows: windows, settings: settings,
      scaling: ForecastScaling(
        base: season > 1 ? .season : .last, targetScale: [1.5, 0.5], scalesWindows: series > 1),
      mean: [0, 0, 0.3], scale: [1, 2, 3],
      naiveErrors: set.values.map { _ in [1, 2] })
  }

  @Test(arguments: [
    ForecastLoss.squared, .absolute, .huber, .quantile([0.1, 0.5, 0.9]), .gaussian,
  ])
  func slopesOfForecastsAreThoseOfTheirLoss(loss: ForecastLoss) throws {
    let width = 3 * 2 * loss.outputCount
    try check(Self.forecast(loss, season: 1, series: 1), rows: 1, width: width)
    try check(Self.forecast(loss, season: 2, series: 3), rows: 1, width: width)
  }

  /// Of an output that says exactly what comes, every loss knows it, in the units of the data.
  @Test func whatIsPredictedExactlyHasNoError() throws {
    let examples = Self.forecast(.squared, season: 2, series: 2)
    let batch = examples.batch([0, 1], sequenceLength: 4, batchSize: 2)
    var values = [Double](repeating: .nan, count: 2 * 6)
    let empty = BatchOutputs(values: values, batchSize: 2, width: 6)
    examples.forEachTarget(empty, batch) { window, target, ahead, start in
      let (base, size) = examples.unit(window, target, ahead: ahead)
      values[start] = (examples.value(window, target, at: window.last + ahead) - base) / size
    }
    let outputs = BatchOutputs(values: values, batchSize: 2, width: 6)
    var tally = examples.makeTally()
    tally.add(outputs, batch)
    var metrics = TaskMetrics(loss: 0)
    tally.fill(&metrics)
    #expect((metrics.forecast?.mae ?? 1) < 1e-14)
    #expect((metrics.persistence?.mae ?? 0) > 0.1)
    #expect(metrics.persistence != metrics.seasonalPersistence)
  }

  @Test func errorsAreThoseOfTheirDefinitions() throws {
    var settings = DataSettings(file: "x")
    (settings.window, settings.targets, settings.loss) = (2, ["a"], .quantile([0.25, 0.75]))
    let examples = ForecastExamples(
      set: SeriesSet(targets: ["a"], values: [1, 2, 4, 8]),
      windows: [.init(series: 0, last: 1), .init(series: 0, last: 2)], settings: settings,
      scaling: ForecastScaling(targetScale: [1]), mean: [0], scale: [1], naiveErrors: [[2]])
    // Bands of 3 to 5 around 4, and of 9 to 10 beside 8.
    let outputs = BatchOutputs(values: [1, 3, 6, 5], batchSize: 2, width: 2)
    var tally = examples.makeTally()
    tally.add(outputs, examples.batch([0, 1], sequenceLength: 2, batchSize: 2))
    var metrics = TaskMetrics(loss: 0)
    tally.fill(&metrics)
    #expect(metrics.coverage == 0.5)
    #expect(metrics.forecast?.mae == 0.75 && metrics.forecast?.mase == 0.375)
    #expect(metrics.persistence?.mae == 3)
    #expect(metrics.persistence?.rmse == 10.0.squareRoot())
    #expect(abs((metrics.persistence?.smape ?? 0) - 200.0 / 3) < 1e-12)
  }

  @Test func classesAreCounted() {
    let confusion = [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    #expect(ClassMetrics.accuracy(confusion) == 5.0 / 6)
    #expect(abs(ClassMetrics.macroF1(confusion) - (6.0 / 7 + 0.8) / 2) < 1e-15)
  }

  @Test func spansAreThoseOfCoNLL() {
    let tags = ["B-A", "I-A", "I-B", "O", "I-A", "B-A", "B-A"]
    let spans = Spans.found(tags).sorted { $0.start < $1.start }
    #expect(spans.map { [$0.start, $0.end] } == [[0, 2], [2, 3], [4, 5], [5, 6], [6, 7]])
    #expect(spans.map(\.kind) == ["A", "B", "A", "A", "A"])
    #expect(Spans.found([]).isEmpty && Spans.areBIO(["O", "B-A"]) && !Spans.areBIO(["O", "X"]))
  }

  @Test func batchesHaveEachExampleOncePerEpoch() {
    let lengths = (0..<50).map { 1 + $0 * 7 % 23 }
    let plan = BatchPlan(lengths: lengths, batchSize: 8, seed: 5)
    #expect(plan.epochSteps == 7)
    var epochs: [[Int]] = []
    for epoch in 0..<3 {
      var seen: [Int] = []
      for step in epoch * 7..<(epoch + 1) * 7 {
        let (examples, length) = plan.batch(step)
        #expect(examples.allSatisfy { lengths[$0] <= length } && length <= 23)
        seen += examples
      }
      #expect(seen.sorted() == Array(0..<50))
      epochs.append(seen)
    }
    #expect(epochs[0] != epochs[1])
    // A step is a function of its number alone.
    let other = BatchPlan(lengths: lengths, batchSize: 8, seed: 5)
    #expect(other.batch(16).examples == plan.batch(16).examples)
    #expect(
      BatchPlan(lengths: lengths, batchSize: 8, seed: 6).batch(0).examples != plan.batch(0).examples
    )
  }
}
