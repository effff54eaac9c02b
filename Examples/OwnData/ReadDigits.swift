// Digits from a pen's path: from 1 to 6 of them, written one behind the other with noise, in as many steps as
// it takes. Where one digit ends and the next begins nobody says: connectionist temporal classification
// (Graves et al. 2006) learns that from the digits alone.
import Carousel

/// Paths of a pen, each with the digits that it wrote.
struct Strokes: TrainingData {
  let count: Int
  let seed: UInt64

  /// The corners of each digit in a box of 1 by 1.
  private static let corners: [[(Double, Double)]] = [
    [(0.5, 1), (0.1, 0.7), (0.1, 0.3), (0.5, 0), (0.9, 0.3), (0.9, 0.7), (0.5, 1)],
    [(0.2, 0.7), (0.5, 1), (0.5, 0)],
    [(0.1, 0.8), (0.5, 1), (0.9, 0.7), (0.1, 0), (0.9, 0)],
    [(0.1, 0.9), (0.8, 0.9), (0.4, 0.55), (0.9, 0.3), (0.5, 0), (0.1, 0.15)],
    [(0.6, 1), (0.1, 0.4), (0.9, 0.4), (0.6, 0.7), (0.6, 0)],
    [(0.9, 1), (0.2, 1), (0.2, 0.6), (0.7, 0.6), (0.9, 0.3), (0.5, 0), (0.1, 0.1)],
    [(0.8, 1), (0.3, 0.7), (0.1, 0.3), (0.5, 0), (0.9, 0.3), (0.5, 0.5), (0.1, 0.3)],
    [(0.1, 1), (0.9, 1), (0.4, 0)],
    [(0.5, 0.5), (0.2, 0.8), (0.5, 1), (0.8, 0.8), (0.2, 0.25), (0.5, 0), (0.8, 0.25), (0.5, 0.5)],
    [(0.9, 0.7), (0.5, 1), (0.1, 0.7), (0.5, 0.5), (0.9, 0.7), (0.7, 0)],
  ]

  /// The digits of an example, and the steps in which each is written.
  private func plan(_ index: Int) -> (random: Philox, digits: [Int], steps: [Int]) {
    let random = Philox(seed: seed, stream: UInt64(index))
    let digits = (0..<1 + Int(6 * random.uniform(0))).map { Int(10 * random.uniform(1 + $0)) }
    return (random, digits, digits.indices.map { 8 + Int(9 * random.uniform(10 + $0)) })
  }

  func length(_ index: Int) -> Int { plan(index).steps.reduce(0, +) }

  func example(_ index: Int) throws -> [String: GraphTensor] {
    let (random, digits, steps) = plan(index)
    let (size, slant) = (0.8 + 0.4 * random.uniform(20), 0.6 * random.uniform(21) - 0.3)
    var moves: [Double] = []
    var pen = (x: 0.0, y: 0.0)
    for (place, digit) in digits.enumerated() {
      let corners = Self.corners[digit]
      for step in 0..<steps[place] {
        let along = Double(step) / Double(steps[place] - 1) * Double(corners.count - 1)
        let (corner, part) = (Int(along), along - along.rounded(.down))
        let (a, b) = (corners[corner], corners[min(corner + 1, corners.count - 1)])
        let noise = 30 + 2 * moves.count
        let y = size * (a.1 + part * (b.1 - a.1)) + 0.03 * random.normal(noise)
        let x =
          size * (a.0 + part * (b.0 - a.0) + 1.3 * Double(place)) + slant * y
          + 0.03 * random.normal(noise + 1)
        moves += [4 * (x - pen.x), 4 * (y - pen.y)]
        pen = (x, y)
      }
    }
    return [
      "moves": GraphTensor(try Tensor(shape: [moves.count / 2, 2], values: moves)),
      "length": GraphTensor(scalar: Double(moves.count / 2), type: .int64),
      // 0 is the blank.
      "digits": GraphTensor(wholeNumbers: digits.map { $0 + 1 }),
      "digitCount": GraphTensor(scalar: Double(digits.count), type: .int64),
    ]
  }
}

func readDigits<B: Backend>(on backend: B) throws -> String {
  var graph = Graph()
  let moves = graph.input("moves", ["T", "N", 2])
  let length = graph.input("length", type: .int64, ["N"])
  let digits = graph.input("digits", type: .int64, ["N", "S"])
  let digitCount = graph.input("digitCount", type: .int64, ["N"])
  let gru = RecurrentConfiguration(
    cell: .gru, inputSize: 2, hiddenSize: 64, direction: .bidirectional)
  let y = graph.recurrent(moves, lengths: length, gru, name: "recurrent")
  let logits = graph.linear(y, inputSize: 128, outputSize: 11, name: "output")
  _ = graph.train(.ctc(blank: 0), logits, digits, length, digitCount)

  let trainer = try GraphTrainer(
    graph, training: Strokes(count: 2048, seed: 1),
    settings: TrainingSettings(bounds: TrainingBounds(maxEpochs: 6)),
    metrics: [
      .labelErrorRate(
        of: logits, against: digits, lengths: length, labelLengths: digitCount)
    ], backend: backend)
  try trainer.run()
  let rate = try trainer.measure(Strokes(count: 512, seed: 2))?.metrics["labelErrorRate"] ?? .nan
  return try require(
    rate < 0.02, "\(short(100 * rate))% of the digits of 512 paths never seen are read wrong")
}
