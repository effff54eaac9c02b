import CarouselModel

extension ONNXImporter {
  /// Products and convolutions.
  static let productOperators: [String: OperatorImporter] = [
    "MatMul": same(.matMul),
    "Gemm": { (importer, node) throws(CarouselError) in
      let operation = GraphOperator.gemm(
        alpha: try node.float("alpha", 1), beta: try node.float("beta", 1),
        transposesA: try node.flag("transA"), transposesB: try node.flag("transB"))
      try importer.emit(operation, for: node)
    },
    "Einsum": { (importer, node) throws(CarouselError) in
      guard let equation = try node.string("equation") else {
        throw node.failure("has no 'equation'")
      }
      try importer.emit(.einsum(equation.filter { $0 != " " }), for: node)
    },
    "Conv": { (importer, node) throws(CarouselError) in
      try importer.emit(.convolution(try importer.convolution(node)), for: node)
    },
    "ConvTranspose": { (importer, node) throws(CarouselError) in
      var window = try importer.convolution(node)
      window.outputPadding = try node.ints("output_padding")
      window.outputShape = try node.ints("output_shape")
      try importer.emit(.convolutionTransposed(window), for: node)
    },
    "MaxPool": { (importer, node) throws(CarouselError) in
      try node.require("Indices", node.output(1) == nil, "as an output")
      try importer.emit(.maximumPool(try importer.convolution(node)), for: node)
    },
    "AveragePool": { (importer, node) throws(CarouselError) in
      let counts = try node.flag("count_include_pad")
      try importer.emit(
        .averagePool(try importer.convolution(node), countsPadding: counts), for: node)
    },
    "GlobalAveragePool": { (importer, node) throws(CarouselError) in
      try importer.importGlobalPool(node, .mean)
    },
    "GlobalMaxPool": { (importer, node) throws(CarouselError) in
      try importer.importGlobalPool(node, .maximum)
    },
  ]

  /// The window of a convolution or a pool.
  func convolution(_ node: ONNXNode) throws(CarouselError) -> Convolution {
    var window = Convolution(
      kernel: try node.ints("kernel_shape"), strides: try node.ints("strides"),
      dilations: try node.ints("dilations"), groups: try node.int("group", 1),
      roundsUp: try node.flag("ceil_mode"))
    let mode = try node.string("auto_pad") ?? "NOTSET"
    switch mode {
    case "NOTSET":
      let pads = try node.ints("pads") ?? []
      guard pads.count.isMultiple(of: 2) else { throw node.failure("has odd 'pads' \(pads)") }
      window.padding = .explicit(
        before: Array(pads.prefix(pads.count / 2)), after: Array(pads.suffix(pads.count / 2)))
    case "VALID": break
    case "SAME_UPPER": window.padding = .sameUpper
    case "SAME_LOWER": window.padding = .sameLower
    default: throw node.failure("has 'auto_pad' \(mode), which is not supported")
    }
    return window
  }

  /// A reduction over all axes behind the second, which stay with an extent of 1.
  private func importGlobalPool(
    _ node: ONNXNode, _ function: ReduceFunction
  ) throws(CarouselError) {
    let x = try resolve(try node.requiredInput(0))
    let base = node.name
    let flat = emit(
      .reshape(allowsZero: false), [x, constant([0, 0, -1], base: base)], base: base)
    let reduced = emit(
      .reduce(function, axes: [2], keepsDimensions: false), [flat], base: base)
    let outer = emit(.shape(start: 0, end: 2), [x], base: base)
    let inner = emit(.shape(start: 2, end: nil), [x], base: base)
    let rank = emit(.shape(start: 0, end: nil), [inner], base: base)
    let one = GraphTensor(scalar: 1, type: .int64)
    let ones = emit(.constantOfShape(one), [rank], base: base)
    let shape = emit(.concatenate(axis: 0), [outer, ones], base: base)
    emit(.reshape(allowsZero: false), [reduced, shape], to: outputs(node))
  }
}
