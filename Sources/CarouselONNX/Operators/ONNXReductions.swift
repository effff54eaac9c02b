import CarouselModel

extension ONNXImporter {
  /// Reductions along axes, and softmax.
  static let reductionOperators: [String: OperatorImporter] = {
    let functions: [String: ReduceFunction] = [
      "ReduceSum": .sum, "ReduceMean": .mean, "ReduceMax": .maximum, "ReduceMin": .minimum,
      "ReduceProd": .product, "ReduceL1": .absoluteSum, "ReduceL2": .euclideanNorm,
      "ReduceSumSquare": .squareSum, "ReduceLogSum": .logSum,
      "ReduceLogSumExp": .logSumExponential,
    ]
    var table = functions.mapValues { reduction($0) }
    table["ArgMax"] = argument(isLargest: true)
    table["ArgMin"] = argument(isLargest: false)
    table["Softmax"] = softmax(isLogarithm: false)
    table["LogSoftmax"] = softmax(isLogarithm: true)
    table["CumSum"] = cumulativeSum
    return table
  }()

  private static let cumulativeSum: OperatorImporter = { (importer, node) throws(CarouselError) in
    let isExclusive = try node.flag("exclusive")
    let isReverse = try node.flag("reverse")
    try importer.emit(
      .cumulativeSum(axis: nil, isExclusive: isExclusive, isReverse: isReverse), for: node)
  }

  private static func reduction(_ function: ReduceFunction) -> OperatorImporter {
    { (importer, node) throws(CarouselError) in try importer.importReduction(node, function) }
  }

  private static func argument(isLargest: Bool) -> OperatorImporter {
    { (importer, node) throws(CarouselError) in
      try importer.importArgument(node, isLargest: isLargest)
    }
  }

  private static func softmax(isLogarithm: Bool) -> OperatorImporter {
    { (importer, node) throws(CarouselError) in
      try importer.importSoftmax(node) {
        isLogarithm ? .logSoftmax(axis: $0) : .softmax(axis: $0)
      }
    }
  }

  private func importReduction(
    _ node: ONNXNode, _ function: ReduceFunction
  ) throws(CarouselError) {
    let axes = try node.ints("axes")
    let keeps = try node.flag("keepdims", true)
    let ignores = try node.flag("noop_with_empty_axes")
    try emit(
      .reduce(function, axes: axes, keepsDimensions: keeps, ignoresNoAxes: ignores), for: node)
  }

  private func importArgument(_ node: ONNXNode, isLargest: Bool) throws(CarouselError) {
    let axis = try node.int("axis", 0)
    let keeps = try node.flag("keepdims", true)
    let takesLast = try node.flag("select_last_index")
    try emit(
      .argument(isLargest: isLargest, axis: axis, keepsDimensions: keeps, takesLast: takesLast),
      for: node)
  }

  /// Before version 13 the axes from `axis` on are one.
  private func importSoftmax(
    _ node: ONNXNode, _ operation: (Int) -> GraphOperator
  ) throws(CarouselError) {
    let axis = try node.int("axis", opset < 13 ? 1 : -1)
    guard opset < 13, axis != -1 else { return try emit(operation(axis), for: node) }
    let x = try resolve(try node.requiredInput(0))
    let flat = emit(.flatten(axis: axis), [x], base: node.name)
    let y = emit(operation(1), [flat], base: node.name)
    let shape = emit(.shape(start: 0, end: nil), [x], base: node.name)
    emit(.reshape(allowsZero: false), [y, shape], to: outputs(node))
  }
}
