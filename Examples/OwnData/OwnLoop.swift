// A network of one's own in a loop of one's own: which of two waves a noisy sequence is, from 20 to 40 steps.
import Carousel
import Foundation

func ownLoop<B: Backend>(on backend: B) throws -> String {
  var graph = Graph()
  let x = graph.input("x", ["T", "N", 1])
  let lengths = graph.input("lengths", type: .int64, ["N"])
  let gru = RecurrentConfiguration(cell: .gru, inputSize: 1, hiddenSize: 16)
  let y = graph.recurrent(x, lengths: lengths, gru, name: "recurrent")
  let pooled = graph.add(.timePool(.mean), y, lengths)
  let logits = graph.linear(pooled, inputSize: 16, outputSize: 2, name: "output")
  let labels = graph.input("labels", type: .int64, ["N"])
  _ = graph.train(.crossEntropy(smoothing: 0), logits, labels)

  let model = try GraphModel(graph, backend: backend, seed: 1)
  let pass = try model.pass(
    shapes: ["x": [40, 32, 1], "lengths": [32], "labels": [32]], training: true)
  let optimizer = try GraphOptimizer(model, .adam(), learningRate: 0.01, maximumNorm: 1)
  for step in 0..<150 {
    try pass.forward(waves(count: 32, seed: step))
    try pass.backward()
    try optimizer.step()
  }
  let loss = try pass.loss()
  return try require(loss < 0.2, "a loss of \(short(loss)) after 150 steps")
}

/// Sines and square waves of 20 to 40 steps, time first.
private func waves(count: Int, seed: Int) throws -> [String: GraphTensor] {
  let random = Philox(seed: UInt64(seed), stream: 0)
  var x = [Double](repeating: 0, count: 40 * count)
  let labels = (0..<count).map { $0 % 2 }
  let lengths = (0..<count).map { 20 + Int(21 * random.uniform($0)) }
  for n in 0..<count {
    for t in 0..<lengths[n] {
      let turn = (Double(t) / 8 + random.uniform(1000 + n)).truncatingRemainder(dividingBy: 1)
      let wave = labels[n] == 0 ? sin(2 * .pi * turn) : turn < 0.5 ? 1 : -1
      x[t * count + n] = wave + 0.2 * random.normal(2000 + t * count + n)
    }
  }
  return [
    "x": GraphTensor(try Tensor(shape: [40, count, 1], values: x)),
    "lengths": GraphTensor(wholeNumbers: lengths), "labels": GraphTensor(wholeNumbers: labels),
  ]
}
