// Own numbers to a forecast: two methods say what the examples are, the trainer does the rest.
import Carousel
import Foundation

/// 24 numbers of a series, and the number behind them.
struct Windows: TrainingData {
  let series: [Double]
  static let width = 24

  var count: Int { series.count - Self.width }

  func example(_ index: Int) throws -> [String: GraphTensor] {
    let read = Array(series[index..<index + Self.width])
    return [
      "x": GraphTensor(try Tensor(shape: [Self.width, 1], values: read)),
      "next": GraphTensor(try Tensor(shape: [1], values: [series[index + Self.width]])),
    ]
  }
}

func forecast<B: Backend>(on backend: B) throws -> String {
  // Two waves and some noise; the last 100 numbers are for the test.
  let random = Philox(seed: 1, stream: 0)
  let series = (0..<500).map { (step: Int) -> Double in
    let t = Double(step)
    let slow: Double = 0.5 * sin(t / 5.5)
    return sin(t / 2) + slow + 0.1 * random.normal(step)
  }
  let test = Windows(series: Array(series[(400 - Windows.width)...]))

  var graph = Graph()
  let x = graph.input("x", ["T", "N", 1])
  let gru = RecurrentConfiguration(cell: .gru, inputSize: 1, hiddenSize: 32)
  let y = graph.recurrent(x, gru, name: "recurrent")
  let last = graph.add(.timePool(.last), y)
  let predicted = graph.linear(last, inputSize: 32, outputSize: 1, name: "output")
  _ = graph.train(.regression(.squared), predicted, graph.input("next", ["N", 1]))

  let trainer = try GraphTrainer(
    graph, training: Windows(series: Array(series[..<400])),
    settings: TrainingSettings(bounds: TrainingBounds(maxEpochs: 25)),
    metrics: [.meanAbsoluteError(of: predicted, against: "next")], backend: backend)
  try trainer.run()
  let error = try trainer.measure(test)?.metrics["meanAbsoluteError"] ?? .nan
  var persistence = 0.0
  for step in 400..<500 { persistence += abs(series[step] - series[step - 1]) / 100 }
  return try require(
    error < 0.5 * persistence,
    "a mean error of \(short(error)) on numbers never seen, that of repeating the last one is \(short(persistence))"
  )
}
