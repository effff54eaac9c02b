import CarouselFormats
import CarouselModel

/// The parameters of an ONNX model as a PyTorch state_dict has them, and the recurrent layers among them.
///
/// Recurrent nodes of which one reads the other, with nothing that is trained between, are the layers of one
/// stack, behind the name of the first. The weight of a linear layer is `[O, D·H]`, and named after the module
/// that its bias or its node is named after.
package struct ONNXStateDict {
  /// The parameters, by their names.
  package private(set) var tensors: [String: Tensor]
  /// The stacks, by what the names of their parameters begin with.
  package private(set) var stacks: [String: RecurrentConfiguration] = [:]

  private let graph: Graph
  /// The place of the node that makes a tensor.
  private let makers: [String: Int]

  /// Reads a model.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - described: the layers of the network that the file describes, which stand behind `recurrent.`
  ///     then; nil where it describes none.
  ///   - merge: what two directions become together where a layer reads them.
  package init(_ model: ONNXModel, described: RecurrentConfiguration?, merge: Merge) {
    tensors = model.parameters
    graph = model.graph
    // A parameter of one number is a constant to the graph.
    for (name, value) in graph.constants where value.type.isReal && Self.isParameter(name) {
      tensors[name] = value.tensor
    }
    var makers: [String: Int] = [:]
    for (place, node) in graph.nodes.enumerated() {
      for case let output? in node.outputs { makers[output] = place }
    }
    self.makers = makers
    nameLinearLayers()
    let layers = graph.nodes.indices.filter { recurrent($0) != nil }
    if let described {
      if layers.count == described.layers { take(layers, as: "recurrent.", described) }
      fit(described)
    } else {
      for chain in chains(of: layers, merge: merge) {
        guard let first = chain.first.flatMap(recurrent) else { continue }
        var configuration = first.configuration
        configuration.layers = chain.count
        if configuration.direction == .bidirectional { configuration.merge = merge }
        take(chain, as: first.prefix, configuration)
      }
    }
  }

  /// Whether a tensor is named as a module's parameter is: `output.bias`, `recurrent.weight_ih_l0`.
  private static func isParameter(_ name: String) -> Bool {
    let words = name.split(separator: ".")
    return words.count > 1 && ["weight", "bias"].contains { words[words.count - 1].hasPrefix($0) }
  }

  private func recurrent(_ place: Int) -> RecurrentOperator? {
    if case .recurrent(let operation) = graph.nodes[place].operation { operation } else { nil }
  }

  // MARK: Layers

  /// Renames the parameters of nodes to those of one stack.
  private mutating func take(
    _ chain: [Int], as prefix: String, _ configuration: RecurrentConfiguration
  ) {
    var renamed: [String: Tensor] = [:]
    for (layer, place) in chain.enumerated() {
      guard let operation = recurrent(place) else { continue }
      for description in operation.configuration.parameterDescriptions {
        let name = description.name
        let other = name.replacing("_l0", with: "_l\(layer)")
        renamed[prefix + other] = tensors.removeValue(forKey: operation.prefix + name)
      }
    }
    tensors.merge(renamed) { $1 }
    stacks[prefix] = configuration
  }

  /// The nodes, each with those that read it and each other, from the bottom.
  private func chains(of layers: [Int], merge: Merge) -> [[Int]] {
    var below: [Int: Int] = [:]
    var readers: [Int: Int] = [:]
    for place in layers {
      let sources = graph.nodes[place].inputs[0].map { self.sources(of: $0) } ?? []
      guard sources.count == 1, case let source?? = sources.first else { continue }
      below[place] = source
      readers[source, default: 0] += 1
    }
    var result: [[Int]] = []
    for place in layers {
      if let source = below[place], readers[source] == 1, isLayer(place, above: source, merge),
        let chain = result.firstIndex(where: { $0.last == source })
      {
        result[chain].append(place)
      } else {
        result.append([place])
      }
    }
    return result
  }

  /// Whether two nodes can be layers of one stack.
  private func isLayer(_ place: Int, above source: Int, _ merge: Merge) -> Bool {
    guard let upper = recurrent(place)?.configuration, var lower = recurrent(source)?.configuration
    else { return false }
    if lower.direction == .bidirectional { lower.merge = merge }
    return upper.cell == lower.cell && upper.hiddenSize == lower.hiddenSize
      && upper.direction == lower.direction && upper.options == lower.options
      && upper.inputSize == lower.outputSize
  }

  /// The recurrent nodes whose outputs a tensor is made of, by operators without parameters that keep or join
  /// numbers.
  ///
  /// Where it is made of anything else too, nil is among them.
  private func sources(of name: String) -> Set<Int?> {
    var result: Set<Int?> = []
    var (seen, open): (Set<String>, [String?]) = ([], [name])
    while let next = open.popLast() {
      guard let next, let place = makers[next] else {
        result.insert(nil)
        continue
      }
      guard seen.insert(next).inserted else { continue }
      let node = graph.nodes[place]
      switch node.operation {
      case .recurrent: result.insert(node.outputs.first == next ? place : nil)
      case .unary(.identity), .unary(.affine), .transpose, .reshape, .flatten, .squeeze,
        .unsqueeze, .split, .cast, .dropout:
        open += node.inputs.prefix(1)
      case .concatenate: open += node.inputs
      case .binary(.add), .binary(.multiply):
        // Numbers of the graph, the half of a mean, are no source.
        open += node.inputs.filter { $0.map { graph.constants[$0] == nil } ?? false }
      default: result.insert(nil)
      }
    }
    return result
  }

  // MARK: The described network

  /// Gives the layers the parameters that a node has in another form: the blocks of a recurrence, and
  /// one bias where a node has two.
  private mutating func fit(_ described: RecurrentConfiguration) {
    for unit in described.units {
      let name = "recurrent.weight_hh" + unit.suffix
      if let matrix = tensors[name]?.blocks(of: unit.layer) { tensors[name] = matrix }
      guard !unit.layer.hasRecurrentBias else { continue }
      let (input, recurrent) = (
        "recurrent.bias_ih" + unit.suffix, "recurrent.bias_hh" + unit.suffix
      )
      guard let own = tensors[input], let other = tensors[recurrent] else { continue }
      let isZero = other.values.allSatisfy { $0 == 0 }
      // A reset gate stands between the two biases of a GRU.
      guard isZero || described.cell != .gru || described.options.gruReset == .before else {
        continue
      }
      tensors[recurrent] = nil
      if !isZero { tensors[input] = Tensor(own.shape, zip(own.values, other.values).map(+)) }
    }
  }

  // MARK: Linear layers

  /// Names linear layers as their modules are, and turns their weights to `[O, D·H]`.
  private mutating func nameLinearLayers() {
    var readers: [String: [GraphNode]] = [:]
    for node in graph.nodes {
      for case let input? in node.inputs { readers[input, default: []].append(node) }
    }
    func vector(_ name: String?) -> String? {
      name.flatMap { tensors[$0]?.shape.rank == 1 ? $0 : nil }
    }
    for node in graph.nodes {
      let isTransposed: Bool
      var bias: String?
      switch node.operation {
      case .matMul:
        isTransposed = true
        let following = node.outputs.first.flatMap { $0.flatMap { readers[$0] } } ?? []
        if following.count == 1, case .binary(.add) = following[0].operation {
          bias = following[0].inputs.compactMap { vector($0) }.first
        }
      case .gemm(1, 1, _, let transposesB):
        isTransposed = !transposesB
        bias = node.inputs.count > 2 ? vector(node.inputs[2]) : nil
      default: continue
      }
      guard node.inputs.count > 1, let name = node.inputs[1], let weight = tensors[name],
        weight.shape.rank == 2, readers[name]?.count == 1
      else { continue }
      let module = Self.module(weight: name, bias: bias, node: node.name)
      let matrix = isTransposed ? weight.transposed([1, 0]) : weight
      rename(name, to: module + ".weight", matrix)
      if let bias, readers[bias]?.count == 1, let vector = tensors[bias] {
        rename(bias, to: module + ".bias", vector)
      }
    }
  }

  /// Keeps the old name where another tensor has the new one.
  private mutating func rename(_ name: String, to other: String, _ tensor: Tensor) {
    let isFree = name == other || tensors[other] == nil
    tensors[name] = nil
    tensors[isFree ? other : name] = tensor
  }

  /// `net.fc` for a bias `net.fc.bias`, a weight `net.fc.weight`, or a node `/net/fc/MatMul`.
  private static func module(weight: String, bias: String?, node: String) -> String {
    if let bias, bias.hasSuffix(".bias") { return String(bias.dropLast(5)) }
    if weight.hasSuffix(".weight") { return String(weight.dropLast(7)) }
    let parts = node.split(separator: "/")
    return parts.count > 1 ? parts.dropLast().joined(separator: ".") : node
  }
}

extension Tensor {
  /// The blocks along the diagonals of recurrent weights `[G·H, P]`; nil where the layer has none, or a
  /// number lies beside them.
  fileprivate func blocks(of layer: RecurrentLayer) -> Tensor? {
    let (H, P, rows) = (layer.hiddenSize, layer.stateSize, layer.gateRows)
    let count: Int
    let extents: Shape
    switch layer.recurrence {
    case .dense, .absent: return nil
    case .diagonal: (count, extents) = (H, [rows])
    case .blocks(let blocks):
      (count, extents) = (blocks, [layer.gateCount, blocks, H / blocks, P / blocks])
    }
    guard shape == [rows, P] else { return nil }
    let (values, width) = (self.values, P / count)
    var kept: [Double] = []
    for (row, first) in stride(from: 0, to: values.count, by: P).enumerated() {
      let block = row % H / (H / count) * width
      let numbers = values[first..<first + P]
      for (column, number) in numbers.enumerated() {
        if block..<block + width ~= column {
          kept.append(number)
        } else if number != 0 {
          return nil
        }
      }
    }
    return Tensor(extents, kept)
  }
}
