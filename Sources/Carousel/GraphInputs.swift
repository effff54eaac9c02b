import CarouselFormats
import CarouselModel

/// The inputs of a graph for a check or a measurement: those of a file, and the others drawn.
public struct GraphInputs: Sendable {
  /// What is said of the inputs that no file gives.
  public struct Options: Sendable {
    /// The shapes of inputs, by name.
    public var shapes: [String: [Int]] = [:]
    /// The number that every element of an input has, by name.
    public var numbers: [String: Double] = [:]
    /// T, the extent of open dimensions.
    public var sequenceLength = 25
    /// N, the extent of open dimensions that are called `N` or after a batch, and of first ones without a
    /// name.
    public var batchSize = 1
    /// Draws the numbers.
    public var seed: UInt64 = 1

    /// Everything by default.
    public init() {}
  }

  /// The inputs, by name.
  public let values: [String: GraphTensor]
  /// A line for each input: its shape, its type, and where its numbers are from.
  public let notes: [String]

  /// Takes the inputs of a graph from a file where it has them, and draws the others.
  ///
  /// Real numbers are drawn from the normal distribution. Whole ones are indices that the first operator
  /// to gather with them allows, T where they are lengths, 1 where they are truth values, and else 0.
  /// Throws a usage error where the options name an input that the graph does not have, or a shape is not
  /// known; `badData` where the file's tensor is of another type.
  public init(
    _ graph: Graph, file: TensorFile?, options: Options
  ) throws(CarouselError) {
    let names = Set(graph.inputs.map(\.name))
    for name in options.shapes.keys.sorted() + options.numbers.keys.sorted()
    where !names.contains(name) {
      throw CarouselError(
        .usage,
        "the model has no input '\(name)', expected one of "
          + graph.inputs.map { "'\($0.name)'" }.joined(separator: ", "))
    }
    var values: [String: GraphTensor] = [:]
    var notes: [String] = []
    for (index, input) in graph.inputs.enumerated() {
      let origin: String
      if let file, let tensor = try input.tensor(in: file) {
        values[input.name] = tensor
        origin = "from \(file.path)"
      } else {
        let shape = try Self.shape(of: input, options)
        (values[input.name], origin) = Self.drawn(input, shape, graph, index, options)
      }
      let shape = values[input.name]?.shape ?? []
      let open = input.dimensions.map { dimensions in
        zip(dimensions, shape.dimensions).map { dimension, extent in
          if case .fixed = dimension { "\(extent)" } else { "\(dimension)=\(extent)" }
        }.joined(separator: ", ")
      }
      notes.append("\(input.name) [\(open ?? "\(shape)")] \(input.type.rawValue), \(origin)")
    }
    self.values = values
    self.notes = notes
  }

  /// Those that decide nothing about shapes, and those that may: whole numbers.
  var real: [String: GraphTensor] { values.filter { $0.value.type.isReal } }
  var whole: [String: GraphTensor] { values.filter { !$0.value.type.isReal } }

  private static func shape(
    of input: GraphInput, _ options: Options
  ) throws(CarouselError) -> Shape {
    if let given = options.shapes[input.name] { return try Shape(dimensions: given) }
    guard let dimensions = input.dimensions else {
      throw CarouselError(
        .usage, "the model does not say the shape of the input '\(input.name)': --shape does")
    }
    return Shape(
      dimensions.enumerated().map { axis, dimension in
        switch dimension {
        case .fixed(let extent): extent
        case .symbol(let name):
          name == "N" || name.lowercased().contains("batch")
            ? options.batchSize : options.sequenceLength
        case .unknown: axis == 0 ? options.batchSize : options.sequenceLength
        }
      })
  }

  private static func drawn(
    _ input: GraphInput, _ shape: Shape, _ graph: Graph, _ index: Int, _ options: Options
  ) -> (GraphTensor, String) {
    func filled(_ number: Double) -> GraphTensor {
      GraphTensor(
        Tensor(shape, [Double](repeating: number, count: shape.count)), type: input.type)
    }
    if let number = options.numbers[input.name] { return (filled(number), "all \(number)") }
    let drawn = "drawn with the seed \(options.seed)"
    if input.type.isReal {
      let numbers = ComparisonInput.normal(shape, seed: options.seed, index: index).values
      return (
        GraphTensor(Tensor(shape, .float32(numbers.map(Float.init))), type: input.type), drawn
      )
    }
    if let extent = graph.gatheredExtent(by: input.name) {
      let indices = ComparisonInput.indices(
        count: shape.count, below: extent, seed: options.seed, index: index)
      return (
        GraphTensor(Tensor(shape, indices.map(Double.init)), type: input.type),
        drawn + " below \(extent)"
      )
    }
    let number =
      input.type == .bool ? 1.0 : graph.isLength(input.name) ? Double(options.sequenceLength) : 0
    return (filled(number), "all \(Int(number))")
  }
}

extension GraphInput {
  /// The input in a file under its name; nil where the file does not have it.
  ///
  /// Throws `badData` where the elements are not real numbers, or whole ones, as the graph's are.
  func tensor(in file: TensorFile) throws(CarouselError) -> GraphTensor? {
    guard let entry = file[name] else { return nil }
    guard let found = entry.elementType.flatMap({ GraphType($0) }), found.isReal == type.isReal
    else {
      throw CarouselError(
        .badData,
        "\(file.path): the input '\(name)' is of the type \(entry.type), expected \(type.rawValue)")
    }
    return GraphTensor(try file.tensor(entry), type: type)
  }
}

extension Graph {
  /// The extent of the axis from which the first `gather` or embedding with these indices takes, where that is
  /// a parameter's.
  fileprivate func gatheredExtent(by name: String) -> Int? {
    for node in nodes where node.inputs.count > 1 && node.inputs[1] == name {
      let axis: Int
      switch node.operation {
      case .gather(let chosen): axis = chosen
      case .embedding: axis = 0
      default: continue
      }
      guard let weight = node.inputs[0].flatMap({ parameter($0) })?.description.shape,
        0..<weight.rank ~= axis
      else { continue }
      return weight[axis]
    }
    return nil
  }

  /// Whether some operator takes the tensor for the lengths of sequences.
  fileprivate func isLength(_ name: String) -> Bool {
    nodes.contains { node in
      switch node.operation {
      case .recurrent, .reverseSequence: node.inputs.count > 1 && node.inputs[1] == name
      default: false
      }
    }
  }
}
