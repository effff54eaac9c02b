import CarouselFormats
import CarouselModel

/// A stretch of a series that a forecast is compared with, to be looked at.
public struct ForecastSample: Sendable {
  /// A step: what was there, and where it was predicted the number and its band.
  public struct Step: Sendable {
    /// The step's number in its series, from 0 on.
    public let step: Int
    /// What was there.
    public let truth: Double
    /// What was predicted; nil of steps that were read.
    public let value: Double?
    /// From the lowest quantile to the highest, or a standard deviation to either side.
    public let band: ClosedRange<Double>?
  }

  /// What is predicted, and the series where there are several.
  public let target: String, id: String
  /// `test`, `validation` or `training`: the part that the steps are of.
  public let part: String
  /// How far ahead the steps were predicted: all up to the horizon from one window, or 1.
  public let horizon: Int
  /// The steps in order.
  public let steps: [Step]
}

extension Trainer {
  /// For each target of a forecast a stretch of the first series of the test, else of what is held out, else
  /// of the training part, as the best model of `folder` predicts it; empty of other tasks.
  ///
  /// With a horizon of 8 steps or more the last window's, with as many steps before; with less the last 120
  /// windows' next steps.
  public func forecastSamples(
    _ examples: TrainingExamples, in folder: RunFolder?
  ) throws -> [ForecastSample] {
    let parts: [(name: String, part: (any ExampleSource)?)] = [
      ("test", examples.test), ("validation", examples.validation),
      ("training", examples.training),
    ]
    guard let found = parts.first(where: { $0.part != nil }),
      let part = found.part as? ForecastExamples, let series = part.windows.first?.series
    else { return [] }
    let windows = part.windows.filter { $0.series == series }.sorted { $0.last < $1.last }
    let isLong = part.settings.horizon >= 8
    let chosen = ForecastExamples(
      set: part.set, windows: Array(windows.suffix(isLong ? 1 : 120)), settings: part.settings,
      scaling: part.scaling, mean: part.mean, scale: part.scale, naiveErrors: part.naiveErrors)
    let predictions: [[ForecastNumber]] = try withBestNetwork(in: folder) { network in
      let passes = ExamplePasses(network, chosen, training: false)
      var result: [[ForecastNumber]] = []
      for start in stride(from: 0, to: chosen.count, by: settings.batchSize) {
        let indices = Array(start..<min(start + settings.batchSize, chosen.count))
        let batch = chosen.batch(
          indices, sequenceLength: part.settings.window, batchSize: settings.batchSize)
        let outputs = try passes.outputs(batch)
        result += indices.map { chosen.predictions(outputs, $0) }
      }
      return result
    }
    return part.set.targets.indices.map { target in
      chosen.sample(target, predictions, part: found.name, isLong: isLong)
    }
  }

  /// Computes with the best network of a folder, else with the one that evaluations measure.
  func withBestNetwork<Result>(
    in folder: RunFolder?, _ body: (Network<B>) throws -> Result
  ) throws -> Result {
    guard let path = folder?.best, FileKind(at: path) != nil else {
      return try withEvaluatedWeights { try body(network) }
    }
    return try body(Checkpoint(contentsOf: path).makeNetwork(backend: network.backend))
  }
}

extension ForecastExamples {
  /// What was predicted of a target, beside the truth.
  fileprivate func sample(
    _ target: Int, _ predictions: [[ForecastNumber]], part: String, isLong: Bool
  ) -> ForecastSample {
    let name = self.set.targets[target]
    func step(_ window: Window, _ number: ForecastNumber) -> ForecastSample.Step {
      let band: ClosedRange<Double>? =
        if let low = number.quantiles.first, let high = number.quantiles.last,
          number.quantiles.count > 1
        {
          low...high
        } else {
          number.deviation.map { number.value - $0...number.value + $0 }
        }
      let place = window.last + number.ahead
      return ForecastSample.Step(
        step: place, truth: value(window, target, at: place), value: number.value, band: band)
    }
    var steps: [ForecastSample.Step] = []
    if isLong, let window = windows.first {
      let first = window.last - min(settings.window, settings.horizon) + 1
      steps = (first...window.last).map {
        ForecastSample.Step(
          step: $0, truth: value(window, target, at: $0), value: nil, band: nil)
      }
    }
    for (window, numbers) in zip(windows, predictions) {
      steps += numbers.filter { $0.target == name && (isLong || $0.ahead == 1) }
        .map { step(window, $0) }
    }
    let series = windows.first?.series ?? 0
    return ForecastSample(
      target: name, id: self.set.ids.isEmpty ? "" : self.set.ids[series], part: part,
      horizon: isLong ? settings.horizon : 1, steps: steps)
  }
}
