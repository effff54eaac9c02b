import CarouselModel

extension ONNXImporter {
  /// Normalisation and dropout.
  static let normalizationOperators: [String: OperatorImporter] = [
    "BatchNormalization": { (importer, node) throws(CarouselError) in
      try node.require("training_mode", try !node.flag("training_mode"), "1")
      try node.require("spatial", try node.flag("spatial", true), "0")
      var names: [String?] = try importer.inputs(node, 0..<3)
      for index in 3..<5 {
        // Statistics of the data, which no training changes.
        names.append(try importer.resolve(try node.requiredInput(index), isTrained: false))
      }
      let operation = GraphOperator.batchNormalization(
        axis: 1, epsilon: try node.float("epsilon", 1e-5),
        momentum: 1 - (try node.float("momentum", 0.9)), isFrozen: true)
      importer.emit(operation, names, to: Array(importer.outputs(node).prefix(1)), name: node.name)
    },
    "LayerNormalization": { (importer, node) throws(CarouselError) in
      let operation = GraphOperator.layerNormalization(
        axis: try node.int("axis", -1), epsilon: try node.float("epsilon", 1e-5))
      try importer.emit(operation, for: node)
    },
    "InstanceNormalization": { (importer, node) throws(CarouselError) in
      let epsilon = try node.float("epsilon", 1e-5)
      try importer.emit(.groupNormalization(groups: nil, epsilon: epsilon), for: node)
    },
    "GroupNormalization": { (importer, node) throws(CarouselError) in
      try importer.importGroupNormalization(node)
    },
    "Dropout": { (importer, node) throws(CarouselError) in
      try node.require("mask", node.output(1) == nil, "as an output")
      if let name = node.input(2) {
        let isTraining = try importer.known(name)?.values.first != 0
        try node.require("training_mode", !isTraining, "1, or not known to be 0")
      }
      var probability = try node.float("ratio", 0.5)
      if let ratio = node.input(1), let value = try importer.known(ratio)?.values.first {
        probability = value
      }
      try node.require("ratio", probability >= 0 && probability < 1, "\(probability)")
      importer.emit(
        .dropout(probability: probability), try importer.inputs(node, 0..<1),
        to: importer.outputs(node), name: node.name)
    },
  ]

  /// Before version 21 scale and bias are one for each group, from then on one for each channel.
  private func importGroupNormalization(_ node: ONNXNode) throws(CarouselError) {
    let groups = try node.int("num_groups", 1)
    let operation = GraphOperator.groupNormalization(
      groups: groups, epsilon: try node.float("epsilon", 1e-5))
    guard opset < 21 else { return try emit(operation, for: node) }
    let base = node.name
    let x = try resolve(try node.requiredInput(0))
    let channels = emit(.shape(start: 1, end: 2), [x], base: base)
    var names: [String?] = [x]
    let count = constant(GraphTensor(wholeNumbers: [groups]), base: base)
    let width = emit(.binary(.divide), [channels, count], base: base)
    let extents = emit(.concatenate(axis: 0), [count, width], base: base)
    for index in 1...2 {
      let value = try resolve(try node.requiredInput(index))
      let column = emit(
        .reshape(allowsZero: false), [value, constant([groups, 1], base: base)], base: base)
      let wide = emit(.expand, [column, extents], base: base)
      names.append(
        emit(.reshape(allowsZero: false), [wide, constant([-1], base: base)], base: base))
    }
    emit(operation, names, to: outputs(node), name: base)
  }
}
