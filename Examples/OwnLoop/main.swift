// A network of one's own in a loop of one's own: which of two waves a noisy sequence is, from 20 to 40 steps.
import Carousel

func train<B: Backend>(on backend: B) throws -> Double {
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
  let adam = Optimizer.adam(
    beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: false)
  let optimizer = try GraphOptimizer(model, adam, learningRate: 0.01, maximumNorm: 1)
  for step in 0..<150 {
    try pass.forward(waves(count: 32, seed: step))
    try pass.backward()
    try optimizer.step()
    if step % 50 == 0 { print("step \(step): loss \(try pass.loss())") }
  }
  return try pass.loss()
}

/// Sines and triangles of 40 steps at most, time first.
func waves(count: Int, seed: Int) throws -> [String: GraphTensor] {
  let random = Philox(seed: UInt64(seed), stream: 0)
  var x = [Double](repeating: 0, count: 40 * count)
  let labels = (0..<count).map { $0 % 2 }
  let lengths = (0..<count).map { 20 + Int(20 * random.uniform($0)) }
  for n in 0..<count {
    for t in 0..<lengths[n] {
      let turn = (Double(t) / 8 + random.uniform(1000 + n)).truncatingRemainder(dividingBy: 1)
      let sine = UnaryFunction.sine.value(2 * .pi * turn)
      let square = turn < 0.5 ? 1.0 : -1.0
      x[t * count + n] =
        (labels[n] == 0 ? sine : square) + 0.2 * random.normal(2000 + t * count + n)
    }
  }
  return [
    "x": GraphTensor(try Tensor(shape: [40, count, 1], values: x)),
    "lengths": GraphTensor(wholeNumbers: lengths), "labels": GraphTensor(wholeNumbers: labels),
  ]
}

let devices = (try? Device.all()) ?? []
let backend: any Backend =
  devices.isEmpty ? ReferenceBackend() : try OpenCLBackend(device: Device.select("auto"))
let loss = try train(on: backend)
print("on \(backend.name): loss \(loss)")
guard loss < 0.2 else {
  throw CarouselError(.checkFailed, "the loss is \(loss), expected less than 0.2")
}
