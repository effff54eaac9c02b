// Branches and loops are traced away: a branch becomes the graph that is taken, a loop its steps.
extension GraphTracer {
  /// What a loop may come to: steps far beyond any model, and far below any host's memory.
  private static var mostSteps: Int { 1 << 16 }

  func traceControl(
    _ node: GraphNode, _ inputs: [Traced?], in environment: [String: Traced]
  ) throws(CarouselError) -> [Traced] {
    let name = self.node
    defer { self.node = name }
    switch node.operation {
    case .branch(let first, let second):
      guard let condition = inputs.first ?? nil else { throw failure("it has no condition") }
      if let value = condition.constant?.values.first {
        return try trace(value != 0 ? first : second, with: [], in: environment)
      }
      let results = (
        try trace(first, with: [], in: environment), try trace(second, with: [], in: environment)
      )
      self.node = name
      guard results.0.map(\.shape) == results.1.map(\.shape), condition.shape.count == 1 else {
        throw failure(
          "its condition is not known when the graph is bound, and its two graphs have other shapes"
        )
      }
      let flag = try alias(condition, [])
      var chosen: [Traced] = []
      for (a, b) in zip(results.0, results.1) { chosen.append(try select(flag, a, b)) }
      return chosen
    case .loop(let body): return try traceLoop(body, inputs, in: environment)
    case .scan(let scan): return try traceScan(scan, inputs.compactMap(\.self), in: environment)
    default: preconditionFailure("\(node.operation.name) is no control")
    }
  }

  /// A subgraph, which sees the tensors around it.
  private func trace(
    _ graph: Graph, with inputs: [Traced], in environment: [String: Traced]
  ) throws(CarouselError) -> [Traced] {
    var inner = environment
    guard inputs.count == graph.inputs.count else {
      throw failure("a graph within has \(graph.inputs.count) inputs, but is given \(inputs.count)")
    }
    for (input, value) in zip(graph.inputs, inputs) { inner[input.name] = value }
    for (name, value) in graph.constants { inner[name] = constant(value) }
    try trace(graph.neededNodes, in: &inner, graph: graph)
    var results: [Traced] = []
    for name in graph.outputs {
      guard let value = inner[name] else {
        throw failure("nothing makes the output '\(name)' within")
      }
      results.append(value)
    }
    return results
  }

  private func traceLoop(
    _ body: Graph, _ inputs: [Traced?], in environment: [String: Traced]
  ) throws(CarouselError) -> [Traced] {
    let given = inputs.first ?? nil
    let limit = try given.map { given throws(CarouselError) in try list(given).first ?? 0 }
    var condition = (inputs.count > 1 ? inputs[1] : nil) ?? constant(1, type: .bool)
    var carried = inputs.dropFirst(2).compactMap(\.self)
    let scannedCount = body.outputs.count - 1 - carried.count
    guard scannedCount >= 0 else { throw failure("its graph has fewer outputs than it carries") }
    var scanned = [[Traced]](repeating: [], count: scannedCount)
    var step = 0
    while step < limit ?? .max {
      guard let goesOn = condition.constant?.values.first else {
        throw failure("whether a loop goes on has to be known when the graph is bound")
      }
      if goesOn == 0 { break }
      guard step < Self.mostSteps else { throw failure("it has more than \(Self.mostSteps) steps") }
      let results = try trace(
        body, with: [constant(Double(step), type: .int64), condition] + carried, in: environment)
      condition = results[0]
      carried = Array(results[1..<1 + carried.count])
      for index in 0..<scannedCount {
        let slice = results[1 + carried.count + index]
        scanned[index].append(try alias(slice, Shape([1] + slice.shape.dimensions)))
      }
      step += 1
    }
    var outputs = carried
    for slices in scanned { outputs.append(try concatenated(slices, axis: 0)) }
    return outputs
  }

  private func traceScan(
    _ scan: ScanOperator, _ inputs: [Traced], in environment: [String: Traced]
  ) throws(CarouselError) -> [Traced] {
    let carriedCount = inputs.count - scan.scannedInputs
    guard carriedCount >= 0, scan.scannedInputs > 0, scan.body.outputs.count >= carriedCount else {
      throw failure("its graph does not fit what it carries and scans")
    }
    func entry<Value>(_ list: [Value], _ index: Int, _ absent: Value) -> Value {
      index < list.count ? list[index] : absent
    }
    var carried = Array(inputs[..<carriedCount])
    var axes: [Int] = []
    for (index, x) in inputs[carriedCount...].enumerated() {
      axes.append(try axis(entry(scan.inputAxes, index, 0), of: x))
    }
    let lengths = zip(inputs[carriedCount...], axes).map { $0.shape[$1] }
    guard let count = lengths.first, lengths.allSatisfy({ $0 == count }), count <= Self.mostSteps
    else {
      throw failure(
        "what it scans has \(lengths) steps, expected as many of each, at most \(Self.mostSteps)")
    }
    var scanned = [[Traced]](repeating: [], count: scan.body.outputs.count - carriedCount)
    for step in 0..<count {
      var slices: [Traced] = []
      for (index, (x, axis)) in zip(inputs[carriedCount...], axes).enumerated() {
        let place = entry(scan.inputsReversed, index, false) ? count - 1 - step : step
        let slice = try sliced(x, axis: axis, start: place, count: 1)
        slices.append(try alias(slice, removing([axis], from: slice.shape)))
      }
      let results = try trace(scan.body, with: carried + slices, in: environment)
      carried = Array(results[..<carriedCount])
      for (index, slice) in results[carriedCount...].enumerated() { scanned[index].append(slice) }
    }
    var outputs = carried
    for (index, slices) in scanned.enumerated() {
      guard let first = slices.first else { throw failure("it scans no step") }
      let axis = try self.axis(entry(scan.outputAxes, index, 0), rank: first.shape.rank + 1)
      var parts: [Traced] = []
      for slice in entry(scan.outputsReversed, index, false) ? slices.reversed() : slices {
        var extents = slice.shape.dimensions
        extents.insert(1, at: axis)
        parts.append(try alias(slice, Shape(extents)))
      }
      outputs.append(try concatenated(parts, axis: axis))
    }
    return outputs
  }
}
