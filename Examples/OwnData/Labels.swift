// Ragged sequences to labels: an array of examples, of which a tenth is held out; early stopping, the best model.
import Carousel
import Foundation

/// A walk in the plane of 10 to 40 steps with noise: straight on (0), in circles (1), or to and fro (2).
func walk(_ index: Int) throws -> [String: GraphTensor] {
  let random = Philox(seed: UInt64(index), stream: 0)
  let (kind, length) = (index % 3, 10 + Int(31 * random.uniform(0)))
  let (turn, speed) = (0.3 + 0.5 * random.uniform(1), 0.5 + random.uniform(2))
  var heading = 2 * .pi * random.uniform(3)
  var steps: [Double] = []
  for t in 0..<length {
    if kind == 1 { heading += turn }
    if kind == 2, t % 4 == 3 { heading += .pi }
    steps += [
      speed * cos(heading) + 0.3 * random.normal(100 + 2 * t),
      speed * sin(heading) + 0.3 * random.normal(101 + 2 * t),
    ]
  }
  return [
    "x": GraphTensor(try Tensor(shape: [length, 2], values: steps)),
    "length": GraphTensor(scalar: Double(length), type: .int64),
    "label": GraphTensor(scalar: Double(kind), type: .int64),
  ]
}

func labels<B: Backend>(on backend: B) throws -> String {
  let (training, heldOut) = try (0..<600).map(walk).split(heldOut: 0.1)

  var graph = Graph()
  let x = graph.input("x", ["T", "N", 2])
  let length = graph.input("length", type: .int64, ["N"])
  let lstm = RecurrentConfiguration(
    cell: .lstm, inputSize: 2, hiddenSize: 16, direction: .bidirectional)
  let y = graph.recurrent(x, lengths: length, lstm, name: "recurrent")
  let logits = graph.linear(
    graph.add(.timePool(.mean), y, length), inputSize: 32, outputSize: 3, name: "output")
  let label = graph.input("label", type: .int64, ["N"])
  _ = graph.train(.crossEntropy(smoothing: 0), logits, label)

  var settings = TrainingSettings(bounds: TrainingBounds(maxEpochs: 20))
  (settings.evaluateEvery, settings.patience) = (17, 5)
  let trainer = try GraphTrainer(
    graph, training: training, validation: heldOut, settings: settings,
    metrics: [.accuracy(of: logits, against: label)], backend: backend)
  let result = try trainer.run()
  try trainer.loadBest()

  let accuracy = try trainer.measure((600..<900).map(walk))?.metrics["accuracy"] ?? 0
  return try require(
    accuracy > 0.95,
    "\(short(100 * accuracy))% of 300 walks never seen are told right, after epoch \(result.epoch)")
}
