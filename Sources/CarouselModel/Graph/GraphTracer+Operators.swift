// From nodes to tensors: what each operator is made of.
extension GraphTracer {
  /// Traces nodes in order; `environment` holds the tensors by name.
  func trace(
    _ nodes: [GraphNode], in environment: inout [String: Traced], graph: Graph
  ) throws(CarouselError) {
    for node in nodes {
      self.node = "the node '\(node.name)' (\(node.operation.name))"
      label = ProgramLabel(node: node.name, operation: node.operation.name)
      var inputs: [Traced?] = []
      for name in node.inputs {
        guard let name else {
          inputs.append(nil)
          continue
        }
        guard let traced = environment[name] else {
          throw failure("nothing makes its input '\(name)'")
        }
        inputs.append(traced)
      }
      let results = try trace(node, inputs, in: environment, graph: graph)
      for (name, traced) in zip(node.outputs, results) {
        if let name { environment[name] = traced }
      }
    }
  }

  private func trace(
    _ node: GraphNode, _ inputs: [Traced?], in environment: [String: Traced], graph: Graph
  ) throws(CarouselError) -> [Traced] {
    func maybe(_ index: Int) -> Traced? { index < inputs.count ? inputs[index] : nil }
    func input(_ index: Int) throws(CarouselError) -> Traced {
      guard let traced = maybe(index) else { throw failure("its input \(index) is missing") }
      return traced
    }
    switch node.operation {
    case .unary(let function): return [try unary(function, input(0))]
    case .binary(let function): return [try binary(function, input(0), input(1))]
    case .clip: return [try clip(input(0), maybe(1), maybe(2))]
    case .select: return [try select(input(0), input(1), input(2))]
    case .cast(let type): return [try cast(input(0), to: type)]
    case .linear: return [try linear(input(0), input(1), maybe(2))]
    case .embedding: return [try embedding(input(0), input(1))]
    case .matMul: return [try matrixProduct(input(0), input(1))]
    case .gemm(let alpha, let beta, let transposesA, let transposesB):
      return [
        try gemm(
          input(0), input(1), maybe(2), alpha: alpha, beta: beta, transposesA: transposesA,
          transposesB: transposesB)
      ]
    case .einsum(let equation): return [try einsum(equation, inputs.compactMap(\.self))]
    case .convolution(let window): return [try convolution(input(0), input(1), maybe(2), window)]
    case .convolutionTransposed(let window):
      return [try convolutionTransposed(input(0), input(1), maybe(2), window)]
    case .maximumPool(let window):
      return [try pool(input(0), window, isMaximum: true, countsPadding: false)]
    case .averagePool(let window, let countsPadding):
      return [try pool(input(0), window, isMaximum: false, countsPadding: countsPadding)]
    case .reduce, .argument, .softmax, .logSoftmax, .cumulativeSum:
      return [try traceReduction(node.operation, input(0), maybe(1))]
    case .batchNormalization(let axis, let epsilon, let momentum, let isFrozen):
      let x = try input(0)
      return [
        try batchNormalization(
          x, scale: maybe(1), bias: maybe(2), mean: input(3), variance: input(4), lengths: maybe(5),
          axis: self.axis(axis, of: x), epsilon: epsilon, momentum: momentum, isFrozen: isFrozen)
      ]
    case .layerNormalization(let axis, let epsilon):
      let x = try input(0)
      return try layerNormalization(
        x, maybe(1), maybe(2), axis: self.axis(axis, of: x), epsilon: epsilon)
    case .groupNormalization(let groups, let epsilon):
      return [
        try groupNormalization(input(0), maybe(1), maybe(2), groups: groups, epsilon: epsilon)
      ]
    case .dropout(let probability):
      let y = try dropout(input(0), probability: probability)
      return [y, constant(GraphTensor(scalar: 1, type: .bool))]
    case .recurrent(let operation):
      let names = operation.configuration.parameterDescriptions.map { operation.prefix + $0.name }
      let isTrained = try traceParameters(names, graph)
      var parameters = constant(0)
      parameters.needsGradient = isTrained && training
      return try recurrent(
        operation, input(0), lengths: maybe(1), hidden: maybe(2), cell: maybe(3),
        parameters: parameters)
    case .timePool(let pooling):
      return [try timePool(pooling, input(0), lengths: maybe(1), query: maybe(2))]
    case .reverseSequence(let timeAxis, let batchAxis):
      let x = try input(0)
      return [
        try reverseSequence(
          x, input(1), timeAxis: axis(timeAxis, of: x), batchAxis: axis(batchAxis, of: x))
      ]
    case .dynamicQuantize, .quantize, .dequantize, .matMulInteger, .convolutionInteger:
      return try traceQuantized(node.operation, inputs)
    case .loss(let kind): return [try loss(kind, inputs)]
    case .branch, .loop, .scan: return try traceControl(node, inputs, in: environment)
    default: return try traceView(node, inputs)
    }
  }

  /// Whether the parameters of a stack are trained: all, or none.
  private func traceParameters(_ names: [String], _ graph: Graph) throws(CarouselError) -> Bool {
    var trained: Set<Bool> = []
    for name in names {
      guard let parameter = graph.parameter(name) ?? root.parameter(name) else {
        throw failure("the graph has no parameter '\(name)'")
      }
      trained.insert(parameter.isTrained)
    }
    guard trained.count <= 1 else {
      throw failure("either all parameters of a recurrent stack are trained or none")
    }
    return trained.first ?? false
  }

  private func traceReduction(
    _ operation: GraphOperator, _ x: Traced, _ other: Traced?
  ) throws(CarouselError) -> Traced {
    switch operation {
    case .reduce(let function, let axes, let keepsDimensions, let ignoresNoAxes):
      let second = try other.map { other throws(CarouselError) in try list(other) }
      let given = axes ?? second ?? []
      if given.isEmpty, ignoresNoAxes { return x }
      let chosen =
        given.isEmpty
        ? Array(0..<x.shape.rank) : try self.axes(given, rank: x.shape.rank)
      return try reduce(function, x, axes: chosen, keepsDimensions: keepsDimensions)
    case .argument(let isLargest, let axis, let keepsDimensions, let takesLast):
      return try argument(
        x, isLargest: isLargest, axis: self.axis(axis, of: x), keepsDimensions: keepsDimensions,
        takesLast: takesLast)
    case .softmax(let axis):
      return try softmax(x, axis: self.axis(axis, of: x), isLogarithm: false)
    case .logSoftmax(let axis):
      return try softmax(x, axis: self.axis(axis, of: x), isLogarithm: true)
    case .cumulativeSum(let axis, let isExclusive, let isReverse):
      let second = try other.map { other throws(CarouselError) in try list(other).first ?? 0 }
      return try cumulativeSum(
        x, axis: self.axis(axis ?? second ?? 0, of: x), isExclusive: isExclusive,
        isReverse: isReverse)
    default: preconditionFailure("\(operation.name) is no reduction")
    }
  }

  // MARK: Axes and lists

  /// An axis counted from 0.
  func axis(_ axis: Int, of x: Traced) throws(CarouselError) -> Int {
    try self.axis(axis, rank: x.shape.rank)
  }

  func axis(_ axis: Int, rank: Int) throws(CarouselError) -> Int {
    guard -rank..<rank ~= axis else {
      throw failure("axis \(axis) is not in a tensor of \(rank) axes")
    }
    return axis < 0 ? axis + rank : axis
  }

  func axes(_ axes: [Int], rank: Int) throws(CarouselError) -> [Int] {
    var result: [Int] = []
    for axis in axes { result.append(try self.axis(axis, rank: rank)) }
    guard Set(result).count == result.count else {
      throw failure("the axes \(axes) name one twice")
    }
    return result
  }

  /// A list of whole numbers that decides a shape.
  func list(_ x: Traced) throws(CarouselError) -> [Int] {
    guard let values = x.constant?.values else {
      throw failure(
        "a tensor that decides a shape has to be known when the graph is bound: give the inputs that it "
          + "comes from as constants")
    }
    var result: [Int] = []
    for value in values {
      guard value.magnitude <= 0x1p53 else {
        // Exporters write the largest Int64 for "to the end".
        result.append(value > 0 ? Int(Int32.max) : -Int(Int32.max))
        continue
      }
      result.append(Int(value))
    }
    return result
  }
}
