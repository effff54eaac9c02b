import CarouselFormats
import CarouselModel

extension ONNXImporter {
  /// Functions of one or several numbers, with broadcasting.
  static let elementwiseOperators: [String: OperatorImporter] = {
    var table: [String: OperatorImporter] = [:]
    let unary: [String: UnaryFunction] = [
      "Abs": .absolute, "Neg": .negate, "Sign": .sign, "Floor": .floor, "Ceil": .ceiling,
      "Round": .round, "Exp": .exponential, "Log": .logarithm, "Sqrt": .squareRoot,
      "Reciprocal": .reciprocal, "Sin": .sine, "Cos": .cosine, "Erf": .errorFunction,
      "Sigmoid": .sigmoid, "Tanh": .tanh, "Relu": .relu, "Softplus": .softplus,
      "Softsign": .softsign, "Not": .not, "IsNaN": .isNaN, "Identity": .identity,
    ]
    for (name, function) in unary { table[name] = same(.unary(function)) }
    let binary: [String: BinaryFunction] = [
      "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide, "Pow": .power,
      "Equal": .equal, "Less": .less, "LessOrEqual": .lessOrEqual, "Greater": .greater,
      "GreaterOrEqual": .greaterOrEqual, "And": .and, "Or": .or, "Xor": .exclusiveOr,
      "PRelu": .prelu,
    ]
    for (name, function) in binary { table[name] = same(.binary(function)) }
    table["Max"] = variadic(.maximum)
    table["Min"] = variadic(.minimum)
    table["Sum"] = variadic(.add)
    table["Mean"] = variadic(.add, isMean: true)
    table["Where"] = same(.select)
    return table.merging(parameterized) { $1 }
  }()

  /// Functions with parameters of their own, and those that are put together from others.
  private static let parameterized: [String: OperatorImporter] = [
    "Mod": { (importer, node) throws(CarouselError) in
      try importer.emit(.binary(try node.flag("fmod") ? .remainder : .modulo), for: node)
    },
    "Clip": { (importer, node) throws(CarouselError) in try importer.importClip(node) },
    "Cast": { (importer, node) throws(CarouselError) in
      let number = Int32(clamping: try node.int("to", 0))
      guard let type = type(number) else {
        throw node.failure("casts to \(ONNXType.name(number)), which is not supported")
      }
      try importer.emit(.cast(type), for: node)
    },
    "LeakyRelu": { (importer, node) throws(CarouselError) in
      try importer.emit(.unary(.leakyRelu(alpha: try node.float("alpha", 0.01))), for: node)
    },
    "ThresholdedRelu": { (importer, node) throws(CarouselError) in
      try importer.emit(.unary(.thresholdedRelu(alpha: try node.float("alpha", 1))), for: node)
    },
    "Elu": { (importer, node) throws(CarouselError) in
      try importer.emit(.unary(.elu(alpha: try node.float("alpha", 1))), for: node)
    },
    "Selu": { (importer, node) throws(CarouselError) in
      let (alpha, gamma) = (
        try node.float("alpha", 1.673_263_192_176_818_8),
        try node.float("gamma", 1.050_700_987_339_019_8)
      )
      try importer.emit(.unary(.selu(alpha: alpha, gamma: gamma)), for: node)
    },
    "HardSigmoid": { (importer, node) throws(CarouselError) in
      let (alpha, beta) = (try node.float("alpha", 0.2), try node.float("beta", 0.5))
      try importer.emit(.unary(.hardSigmoid(alpha: alpha, beta: beta)), for: node)
    },
    "HardSwish": { (importer, node) throws(CarouselError) in
      try importer.importGated(node, .hardSigmoid(alpha: 1.0 / 6, beta: 0.5))
    },
    "Mish": { (importer, node) throws(CarouselError) in
      let x = try importer.resolve(try node.requiredInput(0))
      let plus = importer.emit(.unary(.softplus), [x], base: node.name)
      let gate = importer.emit(.unary(.tanh), [plus], base: node.name)
      importer.emit(.binary(.multiply), [x, gate], to: importer.outputs(node))
    },
    "Swish": { (importer, node) throws(CarouselError) in
      let alpha = try node.float("alpha", 1)
      let x = try importer.resolve(try node.requiredInput(0))
      let scaled = importer.emit(
        .unary(.affine(scale: alpha, shift: 0)), [x], base: node.name)
      let gate = importer.emit(.unary(.sigmoid), [scaled], base: node.name)
      importer.emit(.binary(.multiply), [x, gate], to: importer.outputs(node))
    },
    "Celu": { (importer, node) throws(CarouselError) in
      let alpha = try node.float("alpha", 1)
      let x = try importer.resolve(try node.requiredInput(0))
      let scaled = importer.emit(
        .unary(.affine(scale: 1 / alpha, shift: 0)), [x], base: node.name)
      let unit = importer.emit(.unary(.elu(alpha: 1)), [scaled], base: node.name)
      importer.emit(
        .unary(.affine(scale: alpha, shift: 0)), [unit], to: importer.outputs(node))
    },
    "Gelu": { (importer, node) throws(CarouselError) in try importer.importGelu(node) },
    "com.microsoft.Gelu": same(.unary(.gelu)),
  ]

  /// `x ⊙ f(x)`.
  private func importGated(_ node: ONNXNode, _ function: UnaryFunction) throws(CarouselError) {
    let x = try resolve(try node.requiredInput(0))
    let gate = emit(.unary(function), [x], base: node.name)
    emit(.binary(.multiply), [x, gate], to: outputs(node))
  }

  /// `x·Φ(x)`, or with tanh `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
  private func importGelu(_ node: ONNXNode) throws(CarouselError) {
    guard try node.string("approximate") == "tanh" else {
      return try emit(.unary(.gelu), for: node)
    }
    let x = try resolve(try node.requiredInput(0))
    let base = node.name
    let square = emit(.binary(.multiply), [x, x], base: base)
    let factor = emit(.unary(.affine(scale: 0.044715, shift: 1)), [square], base: base)
    let product = emit(.binary(.multiply), [x, factor], base: base)
    let root = (2 / Double.pi).squareRoot()
    let inner = emit(.unary(.affine(scale: root, shift: 0)), [product], base: base)
    let gate = emit(.unary(.tanh), [inner], base: base)
    let half = emit(.unary(.affine(scale: 0.5, shift: 0.5)), [gate], base: base)
    emit(.binary(.multiply), [x, half], to: outputs(node))
  }

  private static func variadic(
    _ function: BinaryFunction, isMean: Bool = false
  ) -> OperatorImporter {
    { (importer, node) throws(CarouselError) in
      try importer.importVariadic(
        function, node, scale: isMean ? 1 / Double(max(node.inputs.count, 1)) : 1)
    }
  }

  private func importVariadic(
    _ function: BinaryFunction, _ node: ONNXNode, scale: Double
  ) throws(CarouselError) {
    var names = try inputs(node).compactMap(\.self)
    guard var result = names.first else { throw node.failure("has no input") }
    names.removeFirst()
    let last: GraphOperator =
      scale == 1 ? .unary(.identity) : .unary(.affine(scale: scale, shift: 0))
    if names.isEmpty || scale != 1 {
      for name in names { result = emit(.binary(function), [result, name], base: node.name) }
      return emit(last, [result], to: outputs(node))
    }
    for name in names.dropLast() {
      result = emit(.binary(function), [result, name], base: node.name)
    }
    emit(.binary(function), [result, names[names.count - 1]], to: outputs(node))
  }

  /// The bounds are attributes before version 11, and inputs from then on.
  private func importClip(_ node: ONNXNode) throws(CarouselError) {
    guard opset < 11 else { return try emit(.clip, for: node) }
    var names: [String?] = [try resolve(try node.requiredInput(0))]
    for name in ["min", "max"] {
      let value = try node.float(name)
      names.append(value.map { constant(GraphTensor(scalar: $0), base: node.name) })
    }
    emit(.clip, names, to: outputs(node))
  }
}
