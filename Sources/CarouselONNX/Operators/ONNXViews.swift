import CarouselModel

extension ONNXImporter {
  /// Views, choices, and what makes tensors out of shapes.
  static let viewOperators: [String: OperatorImporter] = [
    "Transpose": { (importer, node) throws(CarouselError) in
      try importer.emit(.transpose(try node.ints("perm")), for: node)
    },
    "Reshape": { (importer, node) throws(CarouselError) in
      try importer.emit(.reshape(allowsZero: try node.flag("allowzero")), for: node)
    },
    "Flatten": { (importer, node) throws(CarouselError) in
      try importer.emit(.flatten(axis: try node.int("axis", 1)), for: node)
    },
    "Squeeze": { (importer, node) throws(CarouselError) in
      try importer.emit(.squeeze(axes: try node.ints("axes")), for: node)
    },
    "Unsqueeze": { (importer, node) throws(CarouselError) in
      try importer.emit(.unsqueeze(axes: try node.ints("axes")), for: node)
    },
    "Slice": { (importer, node) throws(CarouselError) in
      guard importer.opset < 10 else { return try importer.emit(.slice, for: node) }
      var names: [String?] = [try importer.resolve(try node.requiredInput(0))]
      for name in ["starts", "ends", "axes"] {
        let values = try node.ints(name)
        names.append(values.map { importer.constant($0, base: node.name) })
      }
      importer.emit(.slice, names, to: importer.outputs(node), name: node.name)
    },
    "Split": { (importer, node) throws(CarouselError) in
      var names: [String?] = try importer.inputs(node)
      if let sizes = try node.ints("split") {
        names = [names[0], importer.constant(sizes, base: node.name)]
      }
      importer.emit(
        .split(axis: try node.int("axis", 0)), names, to: importer.outputs(node), name: node.name)
    },
    "Concat": { (importer, node) throws(CarouselError) in
      try importer.emit(.concatenate(axis: try node.int("axis", 1)), for: node)
    },
    "Expand": same(.expand),
    "Tile": same(.tile),
    "Pad": { (importer, node) throws(CarouselError) in try importer.importPad(node) },
    "Gather": { (importer, node) throws(CarouselError) in
      try importer.emit(.gather(axis: try node.int("axis", 0)), for: node)
    },
    "GatherElements": { (importer, node) throws(CarouselError) in
      try importer.emit(.gatherElements(axis: try node.int("axis", 0)), for: node)
    },
    "Shape": { (importer, node) throws(CarouselError) in
      try importer.emit(
        .shape(start: try node.int("start", 0), end: try node.int("end")), for: node)
    },
    "Size": same(.size),
    "ConstantOfShape": { (importer, node) throws(CarouselError) in
      var value = GraphTensor(scalar: 0)
      if let proto = try node.tensor("value") {
        let (tensor, type) = try importer.value(proto)
        guard tensor.shape.count == 1 else { throw node.failure("has a 'value' of many numbers") }
        value = GraphTensor(scalar: tensor.values[0], type: type)
      }
      try importer.emit(.constantOfShape(value), for: node)
    },
    "Range": same(.range),
    "OneHot": { (importer, node) throws(CarouselError) in
      try importer.emit(.oneHot(axis: try node.int("axis", -1)), for: node)
    },
    "Trilu": { (importer, node) throws(CarouselError) in
      try importer.emit(.triangle(isUpper: try node.flag("upper", true)), for: node)
    },
    "ReverseSequence": { (importer, node) throws(CarouselError) in
      let operation = GraphOperator.reverseSequence(
        timeAxis: try node.int("time_axis", 0), batchAxis: try node.int("batch_axis", 1))
      try importer.emit(operation, for: node)
    },
    "Constant": { (importer, node) throws(CarouselError) in
      let name = try node.requiredOutput()
      let own = importer.scope.name(name) ?? name
      let value = try importer.constantValue(node)
      if value.type.isReal, value.shape.count > 1 {
        importer.parameter(own, value.tensor)
      } else {
        importer.scope.builder.graph.constants[own] = value
      }
    },
  ]

  /// What is padded is in attributes before version 11, and in inputs from then on.
  private func importPad(_ node: ONNXNode) throws(CarouselError) {
    let word = try node.string("mode") ?? "constant"
    guard let mode = PadMode(rawValue: word) else {
      throw node.failure("has 'mode' \(word), which is not supported")
    }
    guard opset < 11 else { return try emit(.pad(mode), for: node) }
    guard let pads = try node.ints("pads") else { throw node.failure("has no 'pads'") }
    let value = GraphTensor(scalar: try node.float("value", 0))
    emit(
      .pad(mode),
      [
        try resolve(try node.requiredInput(0)), constant(pads, base: node.name),
        constant(value, base: node.name),
      ], to: outputs(node), name: node.name)
  }
}
