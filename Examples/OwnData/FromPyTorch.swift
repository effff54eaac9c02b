// A model from PyTorch: what torch.save wrote runs here with the same outputs, and learns further.
import Carousel
import Foundation

func fromPyTorch<B: Backend>(on backend: B) throws -> String {
  // The state_dict of make_model.py, beside an input x [T, N, 3] and what PyTorch's model made of it.
  let path = Bundle.module.path(forResource: "model", ofType: "pt") ?? "model.pt"
  let file = try TensorFile(path)
  var weights: [String: Tensor] = [:]
  for entry in file.entries { weights[entry.name] = try file.tensor(entry) }
  guard let x = weights.removeValue(forKey: "x"), let known = weights.removeValue(forKey: "y")
  else { throw CarouselError(.badData, "\(path): expected tensors x and y") }

  var graph = Graph()
  let lstm = RecurrentConfiguration(cell: .lstm, inputSize: 3, hiddenSize: 12, layers: 2)
  let y = graph.linear(
    graph.recurrent(graph.input("x", ["T", "N", 3]), lstm, name: "lstm"), inputSize: 12,
    outputSize: 2, name: "fc")
  _ = graph.train(.regression(.squared), y, graph.input("target", ["T", "N", 2]))

  let model = try GraphModel(graph, backend: backend)
  try model.load(weights, source: path)
  let found = try model.compute([y], ["x": GraphTensor(x)])[y]
  let difference = zip(found?.values ?? [.nan], known.values).reduce(0) {
    max($0, abs($1.0 - $1.1))
  }

  // On from these weights: the running sums of the first two numbers, a little slower.
  let examples = try (0..<64).map { index in
    let random = Philox(seed: UInt64(index), stream: 0)
    let steps = (0..<20 * 3).map { random.normal($0) }
    var sums = [Double](repeating: 0, count: 20 * 2)
    for place in sums.indices {
      let before = place < 2 ? 0 : sums[place - 2]
      sums[place] = 0.8 * before + 0.2 * steps[place / 2 * 3 + place % 2]
    }
    return [
      "x": GraphTensor(try Tensor(shape: [20, 3], values: steps)),
      "target": GraphTensor(try Tensor(shape: [20, 2], values: sums)),
    ]
  }
  let (training, heldOut) = try examples.split(heldOut: 0.25)
  let trainer = try GraphTrainer(
    graph, training: training, validation: heldOut,
    settings: TrainingSettings(bounds: TrainingBounds(maxEpochs: 20)), parameters: weights,
    backend: backend)
  let before = try trainer.measure(heldOut)?.loss ?? .nan
  try trainer.run()
  try trainer.loadBest()
  let after = try trainer.measure(heldOut)?.loss ?? .nan
  return try require(
    difference < 1e-5 && after < 0.5 * before,
    "outputs differ from PyTorch's by \(short(difference)) at most; "
      + "a loss of \(short(before)) became \(short(after))")
}
