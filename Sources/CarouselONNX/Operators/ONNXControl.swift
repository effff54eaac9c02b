import CarouselModel

extension ONNXImporter {
  /// Operators with graphs within.
  static let controlOperators: [String: OperatorImporter] = [
    "If": { (importer, node) throws(CarouselError) in
      let condition = try node.requiredInput(0)
      let (first, second) = (try node.graph("then_branch"), try node.graph("else_branch"))
      for graph in [first, second] where graph.output.count != node.outputs.count {
        throw node.failure(
          "has \(node.outputs.count) outputs, but one of its graphs has \(graph.output.count)")
      }
      if let value = try importer.known(condition)?.values.first {
        return try importer.inline(value != 0 ? first : second, as: node)
      }
      let operation = GraphOperator.branch(
        then: try importer.subgraph(first, of: node), else: try importer.subgraph(second, of: node))
      try importer.emit(operation, for: node)
    },
    "Loop": { (importer, node) throws(CarouselError) in
      try importer.emit(
        .loop(try importer.subgraph(try node.graph("body"), of: node)), for: node)
    },
    "Scan": { (importer, node) throws(CarouselError) in
      guard importer.opset >= 9 else {
        throw node.failure(
          "is of version 8, which scans a batch of its own; 9 and later are supported")
      }
      guard let count = try node.int("num_scan_inputs"), 1...max(node.inputs.count, 1) ~= count
      else { throw node.failure("has no 'num_scan_inputs' that fits its inputs") }
      let body = try importer.subgraph(try node.graph("body"), of: node)
      let scan = ScanOperator(
        body: body, scannedInputs: count, inputAxes: try node.ints("scan_input_axes") ?? [],
        inputsReversed: try node.ints("scan_input_directions")?.map { $0 != 0 } ?? [],
        outputAxes: try node.ints("scan_output_axes") ?? [],
        outputsReversed: try node.ints("scan_output_directions")?.map { $0 != 0 } ?? [])
      try importer.emit(.scan(scan), for: node)
    },
  ]
}
