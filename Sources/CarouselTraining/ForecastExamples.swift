import CarouselFormats
import CarouselModel
import Foundation

/// How the numbers of a forecast are scaled, learnt on the training part.
public struct ForecastScaling: Hashable, Sendable, Codable {
  /// What the prediction is added to.
  public enum Base: String, Hashable, Sendable, Codable {
    /// The last number that was read.
    case last
    /// The number of the same place in the season before.
    case season
    /// That, and what was gained over the last season: for levels whose growth goes on, also where it was
    /// never as large before.
    case seasonWithGrowth
  }

  /// What the prediction is added to: whichever had the smaller error on the training part.
  public var base = Base.last
  /// What the differences from the base are divided by, for each target.
  public var targetScale: [Double] = []
  /// Whether windows are divided by a size of their own, since there are several series.
  public var scalesWindows = false
}

/// Windows of series: what was read up to a step, and the H steps after it.
///
/// The network reads the differences of the targets from their last number in the window, divided by a
/// scale, beside scaled covariates. It predicts the differences from the base in the scale of the targets,
/// `[H, targets, …]`. The loss is the mean over all numbers that are predicted, in that scale.
struct ForecastExamples: SequenceExamples {
  /// A window ends with step `last` of a series.
  struct Window: Hashable {
    let series: Int, last: Int
  }

  let set: SeriesSet
  let windows: [Window]
  let settings: DataSettings
  let scaling: ForecastScaling
  let mean: [Double], scale: [Double]
  /// The mean absolute difference over a season in the training part of each series, for each target:
  /// what MASE divides by.
  let naiveErrors: [[Double]]

  var count: Int { windows.count }
  func length(_ index: Int) -> Int { settings.window }
  var timePooling: TimePooling? { .last }

  var targetCount: Int { self.set.targets.count }
  private var width: Int { self.set.width }
  private var outputCount: Int { settings.loss.outputCount }

  /// The number of channel `channel` at a step.
  func value(_ window: Window, _ channel: Int, at step: Int) -> Double {
    set.values[window.series][step * width + channel]
  }

  /// By what the targets of a window are divided.
  func windowScale(_ window: Window, _ target: Int) -> Double {
    guard scaling.scalesWindows else { return 1 }
    let last = value(window, target, at: window.last)
    let steps = window.last - settings.window + 1...window.last
    let squares = steps.reduce(0) { sum, step in
      let difference = value(window, target, at: step) - last
      return sum + difference * difference
    }
    let size = (squares / Double(settings.window)).squareRoot()
    return max(size, 1e-6 * abs(last), 1e-12)
  }

  /// What the prediction of step `ahead`, from 1 on, is added to.
  func base(
    _ window: Window, _ target: Int, ahead: Int, _ base: ForecastScaling.Base
  ) -> Double {
    let season = settings.season
    let step =
      base == .last
      ? window.last : window.last + ahead - (ahead + season - 1) / season * season
    let known = value(window, target, at: step)
    guard base == .seasonWithGrowth else { return known }
    let seasons = Double((ahead + season - 1) / season)
    let growth =
      value(window, target, at: window.last) - value(window, target, at: window.last - season)
    return known + seasons * growth
  }

  /// What is added to and multiplied with an output.
  func unit(_ window: Window, _ target: Int, ahead: Int) -> (base: Double, size: Double) {
    (
      base(window, target, ahead: ahead, scaling.base),
      windowScale(window, target) * scaling.targetScale[target]
    )
  }

  func input(
    _ examples: [Int], sequenceLength: Int, batchSize: Int, noise: ExampleNoise?
  ) -> NetworkInput {
    var x = [Double](repeating: 0, count: sequenceLength * batchSize * width)
    for (n, example) in examples.enumerated() {
      let window = windows[example]
      let first = window.last - settings.window + 1
      for channel in 0..<width {
        let isTarget = channel < targetCount
        let zero = isTarget ? value(window, channel, at: window.last) : mean[channel]
        let size = scale[channel] * (isTarget ? windowScale(window, channel) : 1)
        for t in 0..<settings.window {
          x[(t * batchSize + n) * width + channel] =
            (value(window, channel, at: first + t) - zero) / size
        }
      }
    }
    return .features(x)
  }

  /// Calls `body` with each number that is to be predicted: the window, the target, how far ahead, and
  /// where its outputs begin.
  func forEachTarget(
    _ outputs: BatchOutputs, _ batch: ExampleBatch,
    _ body: (_ window: Window, _ target: Int, _ ahead: Int, _ start: Int) -> Void
  ) {
    for (n, example) in batch.examples.enumerated() {
      let row = outputs.offset(sequence: n)
      for ahead in 1...settings.horizon {
        for target in 0..<targetCount {
          let start = row + ((ahead - 1) * targetCount + target) * outputCount
          body(windows[example], target, ahead, start)
        }
      }
    }
  }

  var graphLoss: GraphLoss { .regression(settings.loss.regression) }
  var weights: [Double]? { nil }

  func targets(_ batch: ExampleBatch) -> NetworkTargets {
    let (N, width) = (batch.batchSize, settings.horizon * targetCount)
    var (values, counted) = (
      [Double](repeating: 0, count: N * width), [Int32](repeating: 0, count: N)
    )
    for (n, example) in batch.examples.enumerated() {
      let window = windows[example]
      counted[n] = 1
      for ahead in 1...settings.horizon {
        for target in 0..<targetCount {
          values[n * width + (ahead - 1) * targetCount + target] = truth(
            window, target, ahead: ahead)
        }
      }
    }
    return .values(values, counted: counted)
  }

  func weight(_ examples: [Int]) -> Double {
    // The pinball loss of a number is the mean over its quantiles.
    let parts = if case .quantile(let levels) = settings.loss { levels.count } else { 1 }
    return Double(examples.count * settings.horizon * targetCount * parts)
  }

  /// What outputs for a number should be: how far it is from the base, in the scale of the target.
  private func truth(_ window: Window, _ target: Int, ahead: Int) -> Double {
    let (base, size) = unit(window, target, ahead: ahead)
    return (value(window, target, at: window.last + ahead) - base) / size
  }

  func loss(_ outputs: BatchOutputs, _ batch: ExampleBatch, gradient: inout [Double]?) -> LossSum {
    var result = LossSum()
    var slopes = gradient
    gradient = nil
    forEachTarget(outputs, batch) { window, target, ahead, start in
      let (sum, slope) = settings.loss.loss(
        outputs.values[start..<start + outputCount],
        truth: truth(window, target, ahead: ahead))
      result.sum += sum
      result.weight += 1
      if slopes != nil { for (o, slope) in slope.enumerated() { slopes?[start + o] += slope } }
    }
    gradient = slopes
    return result
  }

  func makeTally() -> any ExampleTally { ForecastTally(settings.loss) }

  /// What outputs say of one number, in its own unit.
  struct Prediction {
    /// The number to go by: the mean, or the median.
    let value: Double
    /// The quantiles, rising, or the standard deviation; empty where neither is predicted.
    let quantiles: [Double]
    let deviation: Double?
  }

  /// What outputs from `start` on say.
  func prediction(
    _ outputs: BatchOutputs, _ window: Window, _ target: Int, ahead: Int, from start: Int
  ) -> Prediction {
    let (base, size) = unit(window, target, ahead: ahead)
    let values = outputs.values[start..<start + outputCount]
    switch settings.loss {
    case .squared, .absolute, .huber:
      return Prediction(value: base + size * values[start], quantiles: [], deviation: nil)
    case .quantile(let levels):
      let rising = values.sorted().map { base + size * $0 }
      return Prediction(
        value: ForecastLoss.median(rising, levels), quantiles: rising, deviation: nil)
    case .gaussian:
      return Prediction(
        value: base + size * values[start], quantiles: [],
        deviation: size * exp(ForecastLoss.logDeviation(values[start + 1])))
    }
  }
}

extension ForecastLoss {
  /// The loss as a device computes it.
  var regression: RegressionLoss {
    switch self {
    case .squared: .squared
    case .absolute: .absolute
    case .huber: .huber(delta: 1)
    case .quantile(let levels): .quantile(levels)
    case .gaussian: .boundedGaussian(bound: Self.largestLogDeviation)
    }
  }

  /// The loss of outputs for one scaled number, and its slope.
  func loss(_ outputs: ArraySlice<Double>, truth: Double) -> (sum: Double, slope: [Double]) {
    let start = outputs.startIndex
    let error = outputs[start] - truth
    switch self {
    case .squared: return (error * error, [2 * error])
    case .absolute: return (abs(error), [error > 0 ? 1 : error < 0 ? -1 : 0])
    case .huber:
      return abs(error) <= 1
        ? (error * error / 2, [error]) : (abs(error) - 0.5, [error > 0 ? 1 : -1])
    case .quantile(let levels):
      // max(q·(y − p), (q − 1)·(y − p)), the mean over q.
      let count = Double(levels.count)
      var sum = 0.0
      let slope = zip(levels, outputs).map { level, output in
        let difference = truth - output
        sum += max(level * difference, (level - 1) * difference) / count
        return (difference > 0 ? -level : difference < 0 ? 1 - level : 0) / count
      }
      return (sum, slope)
    case .gaussian:
      let logDeviation = Self.logDeviation(outputs[start + 1])
      let z = error / exp(logDeviation)
      let sum = logDeviation + z * z / 2 + 0.9189385332046727  // ln √(2π)
      let isFree = abs(outputs[start + 1]) < Self.largestLogDeviation
      return (sum, [z / exp(logDeviation), isFree ? 1 - z * z : 0])
    }
  }

  private static let largestLogDeviation = 10.0

  /// An output as log σ, cut where exp would leave what Float32 holds.
  static func logDeviation(_ output: Double) -> Double {
    min(max(output, -largestLogDeviation), largestLogDeviation)
  }

  /// The median by linear interpolation between quantiles.
  static func median(_ values: [Double], _ levels: [Double]) -> Double {
    guard let upper = levels.firstIndex(where: { $0 >= 0.5 }) else { return values.last ?? 0 }
    guard upper > 0, levels[upper] > 0.5 else { return values[upper] }
    let share = (0.5 - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
    return values[upper - 1] + share * (values[upper] - values[upper - 1])
  }
}
