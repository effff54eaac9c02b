import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselONNX

/// Gradients through deployed models against finite differences in Float64; needs `Tools/fetch-data onnx-models`.
@Suite struct ModelGradientTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Data/onnx-models").standardized.path

  /// A model, the shapes of its inputs, and the numbers that are given.
  struct Model: CustomTestStringConvertible, Sendable {
    let name: String
    let shapes: [String: Shape]
    let constants: [String: Double]

    init(_ name: String, _ shapes: [String: Shape], _ constants: [String: Double] = [:]) {
      (self.name, self.shapes, self.constants) = (name, shapes, constants)
    }

    var testDescription: String { name }
  }

  /// Those that were fetched.
  static let models = all.filter {
    FileManager.default.fileExists(atPath: "\(folder)/\($0.name).onnx")
  }
  private static let all = [
    Model("silero_vad", ["input": [1, 576], "state": [2, 1, 128]], ["sr": 16000]),
    Model("silero_vad_16k_op15", ["input": [1, 576], "state": [2, 1, 128]], ["sr": 16000]),
    Model("silero_vad_half", ["input": [1, 576], "state": [2, 1, 128]]),
    Model("silero_vad_op18_ifless", ["input": [1, 576], "state": [2, 1, 128]], ["sr": 16000]),
    Model("silero_vad_openvino_16k", ["input": [1, 576], "state": [2, 1, 128]]),
    Model(
      "silero_vad_16k_sequence", ["input": [3, 576], "h": [1, 1, 128], "c": [1, 1, 128]]),
    Model("enc", ["feat_erb": [1, 1, 4, 32], "feat_spec": [1, 2, 4, 96]]),
    Model(
      "erb_dec",
      [
        "emb": [1, 3, 512], "e3": [1, 64, 3, 8], "e2": [1, 64, 3, 8], "e1": [1, 64, 3, 16],
        "e0": [1, 64, 3, 32],
      ]),
    Model("df_dec", ["emb": [1, 3, 512], "c0": [1, 64, 3, 96]]),
    Model("common", ["input1": [1, 1, 64, 24]]),
  ]

  private func numbers(_ shape: Shape, _ stream: Int, scale: Double = 1) -> Tensor {
    let random = Philox(seed: 21, stream: RandomStream.input(stream))
    return Tensor(shape, (0..<shape.count).map { random.normal($0) * scale })
  }

  /// Along a random direction of each parameter and of each input.
  @Test(.enabled(if: !models.isEmpty), arguments: models)
  func everyGradientIsTheDerivative(of item: Model) throws {
    let model = try ONNXModel(contentsOf: "\(Self.folder)/\(item.name).onnx")
    let backend = ReferenceBackend()
    let bound = try GraphModel(model.graph, backend: backend)
    try bound.load(model.parameters, source: item.name)
    let names = item.shapes.keys.sorted()
    let pass = try bound.pass(
      shapes: item.shapes,
      constants: item.constants.mapValues { GraphTensor(scalar: $0, type: .int64) },
      training: true, gradientsOf: model.graph.outputs, inputGradients: names)
    let inputs = Dictionary(
      uniqueKeysWithValues: names.enumerated().map { index, name in
        (name, numbers(item.shapes[name] ?? [], index, scale: 0.3))
      })
    try pass.forward(inputs.mapValues { GraphTensor($0) })
    let given = Dictionary(
      uniqueKeysWithValues: pass.program.outputs.enumerated().map { index, output in
        (output.name, numbers(output.shape, 100 + index))
      })
    func loss() throws -> Double {
      try pass.forward()
      return try given.reduce(0) { sum, entry in
        try sum
          + zip(pass.output(entry.key).values, entry.value.values).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    try pass.backward(given)
    let gradients = Dictionary(
      uniqueKeysWithValues: try bound.parameters.gradientTensors().map { ($0.name, $0.tensor) })
    let inputGradients = Dictionary(
      uniqueKeysWithValues: try names.map { ($0, try pass.inputGradient($0)) })
    func check(
      _ name: String, _ values: Tensor, _ gradient: Tensor?, _ stream: Int,
      _ write: (Tensor) throws -> Void
    ) throws {
      let gradient = try #require(gradient, "\(name)")
      let direction = numbers(values.shape, stream).values
      // Small beside the numbers, so that few rectifiers change sides.
      let step = 1e-7 * (values.values.map(\.magnitude).max() ?? 0) + 1e-12
      func moved(_ step: Double) throws -> Double {
        try write(Tensor(values.shape, zip(values.values, direction).map { $0 + step * $1 }))
        return try loss()
      }
      let difference = try (moved(step) - moved(-step)) / (2 * step)
      try write(values)
      let pairs = zip(gradient.values, direction)
      let slope = pairs.reduce(0) { $0 + $1.0 * $1.1 }
      let scale = pairs.reduce(0) { $0 + ($1.0 * $1.1) * ($1.0 * $1.1) }.squareRoot()
      #expect(
        (slope - difference).magnitude <= 1e-5 * scale + 1e-7,
        "\(name): \(slope), expected \(difference)")
    }
    for (index, description) in bound.parameters.descriptions.enumerated() {
      let name = description.name
      let buffer = try bound.parameters.value(name)
      let values = try backend.read(buffer, count: description.shape.count)
      try check(name, Tensor(description.shape, values), gradients[name], 200 + index) {
        try backend.write($0.values, to: buffer)
      }
    }
    for (index, name) in names.enumerated() {
      let values = try #require(inputs[name])
      try check(name, values, inputGradients[name] ?? nil, 100_000 + index) {
        try pass.write(GraphTensor($0), to: name)
      }
    }
    #expect(gradients.count > 10)
  }
}
