import CarouselModel
import CarouselTraining
import Foundation

/// What the units and gates of a network with one layer do while it reads a text.
struct UnitActivations {
  /// Of each byte, what each unit holds after it, H numbers: c of an LSTM, else h.
  let units: [[Double]]
  /// Of each gate with a σ its values, H for each of the bytes.
  let gates: [(name: String, values: [Double])]

  /// Reads a text from zero states on, a step at a time; the gates are computed for the first `gateSteps` bytes.
  init<B: Backend>(
    _ network: Network<B>, vocabulary: ByteVocabulary, bytes: ArraySlice<UInt8>, gateSteps: Int
  ) throws {
    let (backend, store) = (network.backend, network.parameters)
    let layers = network.configuration.recurrent
    precondition(layers.layers == 1 && layers.direction == .forward)
    let (C, H) = (layers.inputSize, layers.hiddenSize)
    let tensors = Dictionary(
      uniqueKeysWithValues: try store.tensors().map { ($0.name, $0.tensor.values) })
    let stack = try RecurrentStack(
      layers, store: store, prefix: "recurrent.", sequenceLength: 1, batchSize: 1, training: false)
    let states = try stack.makeStates()
    let x = try backend.makeBuffer(count: C)
    let embedding = tensors["embedding.weight"] ?? []
    let readsCell = layers.cell == .lstm
    let sums = GateSums(layers, tensors)
    var units: [[Double]] = []
    var hidden = [Double](repeating: 0, count: H)
    var gates = sums.names.map { (name: $0, values: [Double]()) }
    for (step, byte) in bytes.enumerated() {
      let token = Int(vocabulary.token(byte) ?? 0)
      let input = Array(embedding[token * C..<(token + 1) * C])
      if step < gateSteps {
        for (index, values) in sums.gates(input, hidden).enumerated() {
          gates[index].values += values
        }
      }
      try backend.write(input, to: x)
      try stack.forward(x: x, initial: states, final: states)
      hidden = try backend.read(states[0].hidden, count: H)
      if readsCell, let memory = states[0].memory {
        units.append(try backend.read(memory, count: H))
      } else {
        units.append(hidden)
      }
    }
    self.units = units
    self.gates = gates
  }

  /// The unit that follows a feature best, and the square of the correlation of the two.
  func best(for feature: [Double]) -> (unit: Int, share: Double) {
    let count = units.first?.count ?? 0
    let shares = (0..<count).map { unit in
      let correlation = correlation(units.map { $0[unit] }, feature)
      return correlation.isFinite ? correlation * correlation : 0
    }
    let unit = shares.indices.max { shares[$0] < shares[$1] } ?? 0
    return (unit, shares.isEmpty ? .nan : shares[unit])
  }
}

/// Pearson's correlation; NaN where one of them never changes.
func correlation(_ a: [Double], _ b: [Double]) -> Double {
  let (meanA, meanB) = (a.mean, b.mean)
  var (product, squareA, squareB) = (0.0, 0.0, 0.0)
  for (a, b) in zip(a, b) {
    product += (a - meanA) * (b - meanB)
    squareA += (a - meanA) * (a - meanA)
    squareB += (b - meanB) * (b - meanB)
  }
  return product / (squareA * squareB).squareRoot()
}

/// The gates with a σ of a layer in its plain form: σ(W·x + b + R·h').
private struct GateSums {
  private struct Rows {
    let name: String
    let first: Int
  }

  private let rows: [Rows]
  private let layers: RecurrentConfiguration
  private let weightIH: [Double], weightHH: [Double], biasIH: [Double], biasHH: [Double]

  var names: [String] { rows.map(\.name) }

  init(_ layers: RecurrentConfiguration, _ tensors: [String: [Double]]) {
    self.layers = layers
    rows = layers.cell.traits.gates.enumerated().filter { $0.element.activation == .sigmoid }
      .map { Rows(name: $0.element.name, first: $0.offset * layers.hiddenSize) }
    func tensor(_ name: String) -> [Double] { tensors["recurrent.\(name)_l0"] ?? [] }
    (weightIH, weightHH) = (tensor("weight_ih"), tensor("weight_hh"))
    (biasIH, biasHH) = (tensor("bias_ih"), tensor("bias_hh"))
  }

  /// The values of each gate, H numbers.
  func gates(_ x: [Double], _ hidden: [Double]) -> [[Double]] {
    rows.map { rows in
      (0..<layers.hiddenSize).map { unit in
        let row = rows.first + unit
        var sum = (biasIH.isEmpty ? 0 : biasIH[row]) + (biasHH.isEmpty ? 0 : biasHH[row])
        for c in x.indices { sum += weightIH[row * x.count + c] * x[c] }
        if !weightHH.isEmpty {
          for h in hidden.indices { sum += weightHH[row * hidden.count + h] * hidden[h] }
        }
        return 1 / (1 + exp(-sum))
      }
    }
  }
}
