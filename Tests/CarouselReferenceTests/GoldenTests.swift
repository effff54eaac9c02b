import CarouselModel
import CarouselReference
import Foundation
import Testing

/// What PyTorch or ONNX Runtime computed, as `Tools/make-goldens` wrote it.
struct Golden<Case: Decodable>: Decodable {
  /// The largest difference as a part of a tensor's largest magnitude.
  var tolerance: Double
  var cases: [Case]

  static func load(_ name: String) throws -> Self {
    let folder = try #require(Bundle.module.resourceURL)
    let url = folder.appendingPathComponent("Goldens/\(name).json")
    let golden = try JSONDecoder().decode(Self.self, from: Data(contentsOf: url))
    try #require(!golden.cases.isEmpty)
    return golden
  }
}

/// A tensor in a golden file.
struct GoldenValues: Decodable {
  var shape: [Int]
  var values: [Double]
}

private struct CrossEntropyCase: Decodable {
  var targets: [Int32]
  var tensors: [String: GoldenValues]
}

private struct OptimizerCase: Decodable {
  var kind: String
  var momentum: Double
  var betas: [Double]
  var epsilon: Double
  var weightDecay: Double
  var learningRate: Double
  var maximumNorm: Double
  var parameters: GoldenValues
  var gradients: [GoldenValues]
  var after: [GoldenValues]

  var optimizer: Optimizer {
    kind == "SGD"
      ? .sgd(momentum: momentum, weightDecay: weightDecay)
      : .adam(
        beta1: betas[0], beta2: betas[1], epsilon: epsilon, weightDecay: weightDecay,
        decoupled: kind == "AdamW")
  }
}

/// The reference against PyTorch in Float64: nothing but the order of sums may differ.
@Suite struct GoldenTests {
  private let backend = ReferenceBackend(sliceAlignment: 32)
  private let tolerance = 1e-13

  @Test func crossEntropyAgreesWithTorch() throws {
    for golden in try Golden<CrossEntropyCase>.load("cross-entropy").cases {
      let logits = try #require(golden.tensors["logits"])
      let buffer = try backend.buffer(logits.values)
      let loss = try backend.makeBuffer(count: 1)
      let counted = golden.targets.count { $0 >= 0 }
      try backend.softmaxCrossEntropy(
        logits: buffer, targets: try backend.indices(golden.targets), gradLogits: buffer,
        loss: loss, rows: logits.shape[0], classes: logits.shape[1], scale: 1 / Double(counted))
      expectClose(
        backend.values(loss), try #require(golden.tensors["loss"]).values, tolerance: tolerance,
        "loss")
      expectClose(
        backend.values(buffer), try #require(golden.tensors["grad_logits"]).values,
        tolerance: tolerance, "grad_logits")
    }
  }

  @Test func optimizersAgreeWithTorch() throws {
    for golden in try Golden<OptimizerCase>.load("optimizers").cases {
      let count = golden.parameters.values.count
      let parameters = try backend.buffer(golden.parameters.values)
      let moments = try (0..<golden.optimizer.momentCount).map { _ in
        try backend.makeBuffer(count: count)
      }
      let norm = try backend.makeBuffer(count: 1)
      for (index, (gradient, after)) in zip(golden.gradients, golden.after).enumerated() {
        let gradients = try backend.buffer(gradient.values)
        try backend.norm(of: gradients, count: count, into: norm)
        try backend.optimize(
          golden.optimizer, parameters: parameters, gradients: gradients, moments: moments,
          count: count, learningRate: golden.learningRate, gradientNorm: norm,
          maximumNorm: golden.maximumNorm, step: index + 1)
        expectClose(
          backend.values(parameters), after.values, tolerance: tolerance,
          "\(golden.kind), step \(index + 1)")
      }
    }
  }
}
