import CarouselFormats
import CarouselModel

/// Windows of series that stay in a large file, each read with its horizon when it is trained on.
struct StreamedForecast: ExampleSource {
  let count: Int
  /// Examples without a window, scaled and judged in the same way.
  let like: ForecastExamples
  /// What MASE divides by, for each target; nil takes that of each window.
  let naiveErrors: [Double]?
  /// The numbers of an example: those of the window, and of what follows it.
  let stretch: @Sendable (_ example: Int, _ epoch: Int) throws(CarouselError) -> [Double]

  func length(_ index: Int) -> Int { like.settings.window }
  var haveOneLength: Bool { true }
  var ragged: (lengths: [Int], pool: Int)? { nil }
  var timePooling: TimePooling? { like.timePooling }
  var graphLoss: GraphLoss { like.graphLoss }
  var weights: [Double]? { nil }
  func makeTally() -> any ExampleTally { like.makeTally() }

  func read(_ examples: [Int], epoch: Int) throws(CarouselError) -> ExampleSelection {
    let settings = like.settings
    var set = like.set
    for example in examples { set.append(try stretch(example, epoch)) }
    let naive =
      naiveErrors.map { [[Double]](repeating: $0, count: examples.count) }
      ?? set.naiveErrors(
        ends: [Int](repeating: settings.window, count: examples.count), season: settings.season)
    let windows = examples.indices.map {
      ForecastExamples.Window(series: $0, last: settings.window - 1)
    }
    let source = ForecastExamples(
      set: set, windows: windows, settings: settings, scaling: like.scaling, mean: like.mean,
      scale: like.scale, naiveErrors: naive)
    return ExampleSelection(source: source, indices: Array(examples.indices))
  }
}
