import CarouselFormats
import CarouselModel

/// What training a graph minimizes: a loss between one of its outputs and a tensor of the data.
public struct GraphObjective: Hashable, Sendable, Codable {
  /// The losses by the names of the command line; each is a mean over all that counts.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// `(p − t)²`
    case mse
    /// `|p − t|`
    case mae
    /// `(p − t)²/2` within 1 of the target, else `|p − t| − 1/2`.
    case huber
    /// `−log softmax(logits)[t]` for classes t, whole numbers; a row with a negative one does not count.
    case crossEntropy = "cross-entropy"
    /// `−t·log p − (1 − t)·log(1 − p)` for probabilities p, kept 10⁻⁷ away from 0 and 1.
    case binaryCrossEntropy = "binary-cross-entropy"
    /// Connectionist temporal classification of logits `[T, N, V]`, class 0 being the blank (Graves et al.
    /// 2006): behind the labels `[N, S]` come the names of the lengths of the outputs and of the labels.
    case ctc

    /// The tensors of the data that it reads.
    var targetCount: Int { self == .ctc ? 3 : 1 }
    /// Whether these are whole numbers.
    var hasWholeTargets: Bool { self == .crossEntropy || self == .ctc }
  }

  /// Which loss.
  public var kind: Kind
  /// The graph's output, and the tensors of the data.
  public var output: String, targets: [String]

  /// Reads `NAME=OUTPUT,TARGET`; throws a usage error where it is not such.
  public init(_ text: String) throws(CarouselError) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard let word = parts.first, let kind = Kind(rawValue: word) else {
      throw CarouselError(
        .usage,
        "--loss is NAME=OUTPUT,TARGET, NAME being one of "
          + Kind.allCases.map(\.rawValue).joined(separator: ", ") + ", but '\(text)' was given")
    }
    let names = parts.dropFirst().joined().split(separator: ",").map(String.init)
    guard names.count == 1 + kind.targetCount else {
      throw CarouselError(
        .usage,
        "--loss \(word) names an output of the model and \(counted(kind.targetCount, "tensor")) of the "
          + "data, such as "
          + (kind == .ctc ? "ctc=logits,labels,lengths,label_lengths" : "\(word)=y,target")
          + ", but '\(text)' was given")
    }
    self.kind = kind
    output = names[0]
    targets = Array(names.dropFirst())
  }

  /// The objective as it is given.
  package var words: String { "\(kind.rawValue)=\(([output] + targets).joined(separator: ","))" }

  /// The graph with the loss as its only output, and the targets as inputs under their own names, or
  /// behind `target/` where the graph has a tensor of that name.
  ///
  /// Throws a usage error where the graph has no such output.
  func training(_ graph: Graph) throws(CarouselError) -> (graph: Graph, targets: [String]) {
    guard graph.outputs.contains(output) else {
      throw CarouselError(
        .usage,
        "--loss \(kind.rawValue): the model has no output '\(output)', expected one of "
          + graph.outputs.map { "'\($0)'" }.joined(separator: ", "))
    }
    var graph = graph
    var used = Set(graph.inputs.map(\.name) + graph.parameters.map(\.description.name))
    used.formUnion(graph.constants.keys)
    for node in graph.nodes { used.formUnion(node.outputs.compactMap(\.self)) }
    graph.outputs = []
    let names = targets.map { used.contains($0) ? "target/" + $0 : $0 }
    for name in names {
      graph.inputs.append(GraphInput(name, type: kind.hasWholeTargets ? .int64 : .float32, nil))
    }
    switch kind {
    case .mse: _ = graph.train(.regression(.squared), output, names[0])
    case .mae: _ = graph.train(.regression(.absolute), output, names[0])
    case .huber: _ = graph.train(.regression(.huber(delta: 1)), output, names[0])
    case .crossEntropy: _ = graph.train(.crossEntropy(smoothing: 0), output, names[0])
    case .ctc: _ = graph.train(.ctc(blank: 0), output, names[0], names[1], names[2])
    case .binaryCrossEntropy: graph.addBinaryCrossEntropy(output, target: names[0])
    }
    let needed = graph.neededNames
    graph.inputs = graph.inputs.filter { needed.contains($0.name) }
    return (graph, names)
  }
}

extension Graph {
  /// The mean of `−t·log p − (1 − t)·log(1 − p)` becomes the only output.
  fileprivate mutating func addBinaryCrossEntropy(_ output: String, target: String) {
    func name(_ part: String) -> String { "binary_cross_entropy/\(part)" }
    let least = constant(GraphTensor(scalar: 1e-7), name: name("least"))
    let most = constant(GraphTensor(scalar: 1 - 1e-7), name: name("most"))
    let p = add(.clip, output, least, most, name: name("p"))
    let shape = add(.shape(start: 0, end: nil), output, name: name("shape"))
    let t = add(.reshape(allowsZero: true), target, shape, name: name("t"))
    func term(_ p: String, _ t: String, _ part: String) -> String {
      let logarithm = add(.unary(.logarithm), p, name: name("log_" + part))
      return add(.binary(.multiply), t, logarithm, name: name(part))
    }
    func complement(_ x: String, _ part: String) -> String {
      add(.unary(.affine(scale: -1, shift: 1)), x, name: name(part))
    }
    let sum = add(
      .binary(.add), term(p, t, "true"),
      term(complement(p, "1-p"), complement(t, "1-t"), "false"), name: name("sum"))
    let mean = add(
      .reduce(.mean, axes: nil, keepsDimensions: false), sum, name: name("mean"))
    outputs = [add(.unary(.negate), mean, name: name("loss"))]
  }
}
