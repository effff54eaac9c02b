import ArgumentParser
import Carousel

/// `carousel train forecast`: the next numbers of a series.
struct TrainForecast: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "forecast",
    abstract: "Trains a network to predict the next numbers of a series.",
    discussion: """
      The data are a CSV file with a header, a step a row. The network reads --window steps of \
      --target and --covariates and predicts the next --horizon of --target. The end of each series \
      is the test (--test), what lies before it is held out (--validation), the rest is learnt from: no \
      window to learn from has a target there. Errors stand beside those of persistence, the last \
      number again, and of seasonalPersistence, that of the same place in the --season before. \
      Of a file above 256 MiB windows are read when they are trained on; its rows are in the order of \
      time, those of a series one behind the other.
      """)

  static let basics =
    [
      "target", "covariates", "time", "id", "window", "horizon", "season", "loss", "missing",
    ] + TrainExampleOptions.basics
  static var defaults: [String: String] {
    TrainingSettings.defaults(for: .forecast).exampleHelpDefaults.merging([
      "loss": ForecastLoss.squared.words, "season": "1", "horizon": "1",
      "window": "32, or two seasons where they are more",
    ]) { $1 }
  }

  @OptionGroup var examples: TrainExampleOptions

  @Option(
    help: ArgumentHelp(
      "The columns to predict; without it the only one there is.", valueName: "column,…"))
  var target: NameList?

  @Option(
    help: ArgumentHelp("The columns that are read beside them.", valueName: "column,…"))
  var covariates: NameList?

  @Option(help: ArgumentHelp("W, the steps that are read.", valueName: "count"))
  var window: Int?

  @Option(help: ArgumentHelp("H, the steps that are predicted.", valueName: "count"))
  var horizon: Int?

  @Option(help: ArgumentHelp("S, the steps of a season.", valueName: "count"))
  var season: Int?

  @Option(
    help: ArgumentHelp(
      "What is minimized: mse, mae, huber, quantile:0.1,0.5,0.9 (any levels), or gaussian.",
      valueName: "loss"))
  var loss: ForecastLoss?

  @OptionGroup var numbers: MissingOptions

  func run() throws {
    let isPlain =
      target == nil && covariates == nil && window == nil && horizon == nil && season == nil
      && loss == nil && numbers.missing == nil
    try examples.run(.forecast, isPlain: isPlain) { data in
      data.targets = target?.names ?? []
      data.covariates = covariates?.names ?? []
      data.season = try atLeastOne(season ?? 1, "--season")
      data.horizon = try atLeastOne(horizon ?? 1, "--horizon")
      data.window = try atLeastOne(window ?? max(32, 2 * data.season), "--window")
      data.loss = loss ?? .squared
      data.missing = numbers.missing ?? .error
    }
  }
}
