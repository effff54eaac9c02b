import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import SwiftProtobuf
import Testing

@testable import CarouselONNX

@Suite struct ExportTests {
  private func parameters(_ configuration: RecurrentConfiguration) -> [String: Tensor] {
    var number = 0.0
    return Dictionary(
      uniqueKeysWithValues: configuration.parameterDescriptions.map { description in
        let values = (0..<description.shape.count).map { _ in
          number += 1
          return Double(Float(number / 128))
        }
        return (description.name, Tensor(description.shape, values))
      })
  }

  private func read(_ network: ONNXNetwork) throws -> ONNXModel {
    let folder = try TemporaryFolder()
    return try ONNXModel(contentsOf: folder.file("m.onnx", holding: try network.bytes()))
  }

  private func recurrent(_ graph: Graph) -> [RecurrentOperator] {
    graph.nodes.compactMap { node in
      if case .recurrent(let operation) = node.operation { operation } else { nil }
    }
  }

  static let options: [(Cell, CellOptions)] = [
    (.rnn, CellOptions()), (.gru, CellOptions()), (.gru, CellOptions(gruReset: .before)),
    (.lstm, CellOptions()), (.lstm, CellOptions(peepholes: true)),
    (.lstm, CellOptions(forgetGate: .coupled, peepholes: true)),
    (.rnn, CellOptions(activations: ["hidden": Activation(.leakyRelu, alpha: 0.25)])),
    (.lstm, CellOptions(bias: .none)),
  ]

  @Test(arguments: options, [Direction.forward, .reverse, .bidirectional])
  func layerThatANodeCanSayComesBackAsItWas(
    _ layer: (Cell, CellOptions), direction: Direction
  ) throws {
    let configuration = RecurrentConfiguration(
      cell: layer.0, inputSize: 3, hiddenSize: 5, layers: 2, direction: direction,
      options: layer.1)
    let weights = parameters(configuration)
    let read = try read(ONNXNetwork(configuration, parameters: weights, withStates: true))
    let operations = recurrent(read.graph)
    #expect(operations.count == 2)
    for (layer, operation) in operations.enumerated() {
      #expect(operation.configuration.direction == direction)
      #expect(operation.configuration.options == configuration.options)
      for description in operation.configuration.parameterDescriptions {
        let name = description.name.replacing("_l0", with: "_l\(layer)")
        #expect(read.parameters[operation.prefix + description.name] == weights[name], "\(name)")
      }
    }
    #expect(read.graph.outputs == (layer.0 == .lstm ? ["y", "h_n", "c_n"] : ["y", "h_n"]))
    #expect(
      read.graph.inputs.map(\.name) == (layer.0 == .lstm ? ["x", "h_0", "c_0"] : ["x", "h_0"]))
    #expect(read.graph.inputs[0].dimensions == ["T", "N", 3])
  }

  @Test func recurrenceWithoutAMatrixIsWrittenAsOne() throws {
    for recurrence in [Recurrence.diagonal, .blocks(2)] {
      let configuration = RecurrentConfiguration(
        cell: .gru, inputSize: 1, hiddenSize: 4, options: CellOptions(recurrence: recurrence))
      let weights = parameters(configuration)
      let read = try read(ONNXNetwork(configuration, parameters: weights))
      let operation = try #require(recurrent(read.graph).first)
      let matrix = try #require(read.parameters[operation.prefix + "weight_hh_l0"])
      let stored = try #require(weights["weight_hh_l0"])
      #expect(matrix.shape == [12, 4])
      #expect(matrix.values.filter { $0 != 0 } == stored.values)
    }
  }

  @Test(arguments: [
    CellOptions(projectionSize: 2), CellOptions(layerNorm: true), CellOptions(cellClip: 0.5),
    CellOptions(zoneoutHidden: 0.1), CellOptions(overrides: ["forget": 0]),
    CellOptions(forgetGate: .output),
  ])
  func whatANodeCannotSayIsAScan(options: CellOptions) throws {
    let configuration = RecurrentConfiguration(
      cell: .lstm, inputSize: 3, hiddenSize: 4, direction: .bidirectional, options: options)
    let read = try read(
      ONNXNetwork(
        configuration, parameters: parameters(configuration),
        head: (
          Tensor(
            [1, configuration.outputSize],
            [Double](repeating: 0.5, count: configuration.outputSize)), nil
        )))
    #expect(recurrent(read.graph).isEmpty)
    let scans = read.graph.nodes.filter { node in
      if case .scan = node.operation { true } else { false }
    }
    #expect(scans.count == 2)
    #expect(read.parameters["output.weight"] != nil)
  }

  static let spelt: [(Cell, CellOptions)] = [
    (.mingru, CellOptions()), (.mingru, CellOptions(bias: .none, overrides: ["update": 0.25])),
    (.mingru, CellOptions(activations: ["new": Activation(.positive)], zoneoutHidden: 0.3)),
    (.slstm, CellOptions()), (.slstm, CellOptions(bias: .single, projectionSize: 2)),
    (.slstm, CellOptions(recurrence: .blocks(2), layerNorm: true)),
    (.slstm, CellOptions(overrides: ["output": 0.5])),
    (.lstm, CellOptions(peepholes: true, cellClip: 0.3, projectionSize: 3, layerNorm: true)),
    (.lstm, CellOptions(forgetGate: .constant(0.75), zoneoutHidden: 0.1, zoneoutCell: 0.2)),
    (.gru, CellOptions(gruReset: .before, layerNorm: true)), (.gru, CellOptions(layerNorm: true)),
    (.rnn, CellOptions(bias: .none, recurrence: .diagonal, layerNorm: true)),
    (.rnn, CellOptions(activations: ["hidden": Activation(.positive)])),
    (.gru, CellOptions(activations: ["new": Activation(.positive)])),
  ]

  /// What is read back computes what the layers do, and its parameters have the layers' names and shapes.
  @Test(arguments: spelt, [Direction.reverse, .bidirectional])
  func equationsThatAreSpeltOutAreTheLayers(
    _ layer: (Cell, CellOptions), direction: Direction
  ) throws {
    let configuration = RecurrentConfiguration(
      cell: layer.0, inputSize: 3, hiddenSize: 4, layers: 2, direction: direction,
      options: layer.1)
    let weights = parameters(configuration).mapValues { tensor in
      Tensor(tensor.shape, tensor.values.map { Double(Float(sin(7 * $0))) })
    }
    let read = try read(ONNXNetwork(configuration, parameters: weights))
    #expect(recurrent(read.graph).isEmpty)
    for (name, tensor) in weights {
      let found = try #require(read.parameters["recurrent." + name], "\(name)")
      if !name.hasPrefix("weight_hh") || configuration.options.recurrence == .dense {
        #expect(found == tensor, "\(name)")
      }
    }
    var graph = Graph()
    let x = graph.input("x", ["T", "N", 3])
    graph.outputs = [graph.recurrent(x, configuration, name: "recurrent")]
    let prefixed = Dictionary(
      uniqueKeysWithValues: weights.map { ("recurrent." + $0.key, $0.value) })
    let expected = try outputs(of: graph, prefixed)[0]
    let found = try outputs(of: read.graph, read.parameters)
    #expect(found.count == 1 + layer.0.traits.stateNames.count)
    #expect(found[0].shape == expected.shape)
    #expect(expected.values.contains { abs($0) > 0.01 })
    #expect(zip(found[0].values, expected.values).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  private func outputs(of graph: Graph, _ parameters: [String: Tensor]) throws -> [Tensor] {
    let bound = try GraphModel(graph, backend: ReferenceBackend())
    try bound.load(parameters, source: "test")
    let x = Tensor([5, 2, 3], (0..<30).map { sin(Double(3 * $0)) })
    let pass = try bound.pass(shapes: ["x": x.shape])
    try pass.forward(["x": GraphTensor(x)])
    return try pass.outputs().map(\.tensor.tensor)
  }

  /// A last input of the name "", a normalisation's bias, makes ONNX Runtime 1.32 crash.
  @Test func inputsThatAreLeftOutAtTheEndAreNotNamed() throws {
    let configuration = RecurrentConfiguration(
      cell: .gru, inputSize: 2, hiddenSize: 3, options: CellOptions(bias: .none, layerNorm: true))
    let network = ONNXNetwork(configuration, parameters: parameters(configuration))
    var open = [try ONNXModelProto(serializedBytes: network.bytes()).graph]
    var count = 0
    while let graph = open.popLast() {
      for node in graph.node {
        #expect(node.input.last != "", "\(node.name)")
        count += node.opType == "LayerNormalization" ? 1 : 0
        open += node.attribute.filter(\.hasG).map(\.g)
      }
    }
    #expect(count == 4)
  }

  @Test func textsNetworkTakesTokens() throws {
    let configuration = RecurrentConfiguration(cell: .gru, inputSize: 2, hiddenSize: 3)
    let read = try read(
      ONNXNetwork(
        configuration, parameters: parameters(configuration),
        embedding: Tensor([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
        head: (Tensor([2, 3], [1, 2, 3, 4, 5, 6]), Tensor([2], [7, 8])),
        metadata: ["note": "hello"]))
    #expect(read.graph.inputs.map(\.name) == ["tokens"] && read.graph.inputs[0].type == .int64)
    #expect(read.parameters["embedding.weight"]?.shape == [4, 2])
    #expect(read.parameters["output.bias"]?.values == [7, 8])
  }
}
