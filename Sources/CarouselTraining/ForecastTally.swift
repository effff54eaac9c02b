import CarouselModel

/// The errors of forecasts in the units of the data.
public struct ForecastErrors: Hashable, Sendable, Codable {
  /// The mean absolute error, and the root of the mean squared one.
  public var mae: Double, rmse: Double
  /// The mean absolute error divided by that of last season's number in the training part (Hyndman &
  /// Koehler 2006); nil where that never changes.
  public var mase: Double?
  /// The mean of `200·|error| / (|truth| + |prediction|)`, in per cent.
  public var smape: Double
}

/// Adds up errors.
private struct ErrorSums {
  private var absolute = 0.0, squared = 0.0, scaled = 0.0, symmetric = 0.0
  private var count = 0.0
  private var canScale = true

  mutating func add(_ prediction: Double, _ truth: Double, naive: Double) {
    let error = abs(prediction - truth)
    count += 1
    absolute += error
    squared += error * error
    if naive > 0 { scaled += error / naive } else { canScale = false }
    let sizes = abs(prediction) + abs(truth)
    if sizes > 0 { symmetric += 200 * error / sizes }
  }

  var errors: ForecastErrors {
    let count = max(count, 1)
    return ForecastErrors(
      mae: absolute / count, rmse: (squared / count).squareRoot(),
      mase: canScale ? scaled / count : nil, smape: symmetric / count)
  }
}

/// Counts how far forecasts are off, and how far those are that repeat what was.
struct ForecastTally: ExampleTally {
  private let loss: ForecastLoss
  private var model = ErrorSums(), persistence = ErrorSums(), seasonal = ErrorSums()
  private var covered = 0, count = 0

  init(_ loss: ForecastLoss) { self.loss = loss }

  mutating func add(_ outputs: BatchOutputs, _ batch: ExampleBatch) {
    let examples = batch.source(as: ForecastExamples.self)
    var (model, persistence, seasonal) = (model, persistence, seasonal)
    var (covered, count) = (0, 0)
    examples.forEachTarget(outputs, batch) { window, target, ahead, start in
      let truth = examples.value(window, target, at: window.last + ahead)
      let naive = examples.naiveErrors[window.series][target]
      let found = examples.prediction(outputs, window, target, ahead: ahead, from: start)
      model.add(found.value, truth, naive: naive)
      persistence.add(
        examples.base(window, target, ahead: ahead, .last), truth, naive: naive)
      seasonal.add(examples.base(window, target, ahead: ahead, .season), truth, naive: naive)
      count += 1
      if let low = found.quantiles.first, let high = found.quantiles.last, low <= truth,
        truth <= high
      {
        covered += 1
      }
    }
    (self.model, self.persistence, self.seasonal) = (model, persistence, seasonal)
    self.covered += covered
    self.count += count
  }

  func fill(_ metrics: inout TaskMetrics) {
    metrics.forecast = model.errors
    metrics.persistence = persistence.errors
    metrics.seasonalPersistence = seasonal.errors
    if case .quantile(let levels) = loss, levels.count > 1 {
      metrics.coverage = Double(covered) / Double(max(count, 1))
    }
  }
}
