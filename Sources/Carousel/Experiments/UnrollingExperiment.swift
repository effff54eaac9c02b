import CarouselFormats
import CarouselModel
import CarouselOpenCL

/// `unrolling`: what is copied when a network is unrolled over more steps, and what is not.
struct UnrollingExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  /// The textbook's network: 20 → 128 → 10 without biases.
  private let sizes: (input: Int, hidden: Int, output: Int)
  private static var lengths: [Int] { [5, 10, 20, 40] }
  private static var batchSize: Int { 32 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    sizes = (20, context.hiddenSize(128), 10)
  }

  fileprivate struct Case {
    let cell: Cell
    let length: Int
    var row: ExperimentResult.Row
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { cell in
      Self.lengths.map { Case(cell: cell, length: $0, row: row(cell, $0)) }
    }
    let hasMemory = context.backend is OpenCLBackend
    try context.measure(cases.count) {
      for index in cases.indices {
        let (cell, length) = (cases[index].cell, cases[index].length)
        try context.begin("\(cell.rawValue) over \(length) steps")
        let layers = network(cell).recurrent
        cases[index].count(layers, output: sizes.output, batchSize: Self.batchSize)
        for seed in context.settings.allSeeds {
          try context.check()
          let measured = try measure(layers, length, seed)
          cases[index].row.add("passSeconds", measured.seconds)
          if let bytes = measured.bytes { cases[index].row.add("passBytes", Double(bytes)) }
        }
        context.advance()
      }
    }
    var result = ExperimentResult(
      context,
      explanation: [
        """
        A recurrent network uses the same weights at every step: h_t = f(W·x_t + R·h_(t−1)). Unrolled over \
        T steps it is a feed-forward network of T layers whose layers share their weights. Every step is \
        one more use of each weight and one more set of activations that the backward pass needs, but not \
        one more parameter.
        """,
        """
        The network is 20 → \(sizes.hidden) → 10 without biases: (20 + \(sizes.hidden))·\(sizes.hidden) recurrent \
        weights for each gate, and \((10 * sizes.hidden).grouped) of the output. A device may keep more for a pass than the equations ask for: buffers of its \
        kernels are in what was measured.
        """,
      ],
      columns: [
        .init("parameters", "parameters", .count), .init("weightUses", "uses of weights", .count),
        .init("activationBytes", "activations, counted", .bytes),
      ] + (hasMemory ? [.init("passBytes", "memory of a pass, measured", .bytes)] : [])
        + [.init("passSeconds", "time of a training pass", .seconds)], rows: cases.map(\.row))
    let measured = cases.filter { !$0.row.all("passSeconds").isEmpty }
    result.finding = Self.finding(measured, hasMemory: hasMemory)
    result.figures = figures(measured, hasMemory: hasMemory)
    return result
  }

  private func network(_ cell: Cell) -> NetworkConfiguration {
    NetworkConfiguration(
      vocabularySize: nil,
      recurrent: RecurrentConfiguration(
        cell: cell, inputSize: sizes.input, hiddenSize: sizes.hidden,
        options: CellOptions(bias: .none)), outputSize: sizes.output)
  }

  private func row(_ cell: Cell, _ length: Int) -> ExperimentResult.Row {
    let layer =
      "--cell \(cell.rawValue) --input-size \(sizes.input) --hidden-size \(sizes.hidden) --no-bias"
    return ExperimentResult.Row(
      "\(cell.rawValue), T = \(length)",
      command: """
        carousel parameters \(layer) --output-size \(sizes.output) --sequence-length \(length) \
        --batch-size \(Self.batchSize)
        carousel profile \(layer) --mode training --sequence-length \(length) \
        --batch-size \(Self.batchSize)
        """)
  }

  /// The median time of a training pass, and the device's memory that it takes beside parameters.
  private func measure(
    _ layers: RecurrentConfiguration, _ length: Int, _ seed: UInt64
  ) throws -> (seconds: Double, bytes: Int?) {
    let profile = try RecurrentProfile(
      layers, sequenceLength: length, batchSize: Self.batchSize, training: true, iterations: 9,
      warmup: 2, seed: seed)
    let device = context.backend as? OpenCLBackend
    let before = device?.bytesInUse ?? 0
    let pass = try RecurrentProfilePass(profile, on: context.backend)
    try pass.run()
    try context.backend.synchronize()
    let weights = layers.parameterDescriptions.reduce(0) { $0 + $1.shape.count }
    let stored = 2 * ElementType.float32.byteCount * weights
    let bytes = device.map { max($0.bytesInUse - before - stored, 0) }
    return (try pass.seconds(of: profile, on: context.backend).sorted()[4], bytes)
  }
}

extension UnrollingExperiment.Case {
  /// Counts parameters, uses and activations.
  fileprivate mutating func count(
    _ layers: RecurrentConfiguration, output: Int, batchSize: Int
  ) {
    let count =
      layers.parameterDescriptions.reduce(0) { $0 + $1.shape.count } + output * layers.outputSize
    let memory = ParameterMemory(
      layers, parameterCount: count, sequenceLength: length, batchSize: batchSize)
    row.set("parameters", Double(count))
    row.set("weightUses", Double(count * length))
    row.set("activationBytes", Double(memory.activationBytes))
  }
}

extension UnrollingExperiment {
  private static func finding(_ cases: [Case], hasMemory: Bool) -> String {
    guard let first = cases.first else { return "Nothing was measured." }
    let own = cases.filter { $0.cell == first.cell }
    guard let last = own.last, last.length > first.length else {
      return "Only one length was measured, which cannot show what grows."
    }
    func growth(_ cases: [Case], _ key: String) -> Double? {
      guard let a = cases.first, let b = cases.last, a.length < b.length else { return nil }
      return b.row.mean(key) / a.row.mean(key)
    }
    let byCell = Dictionary(grouping: cases, by: \.cell).values
    let isFlat = byCell.allSatisfy { Set($0.map { $0.row.mean("parameters") }).count == 1 }
    let times = byCell.compactMap { growth($0, "passSeconds") }
    let steps = Double(last.length) / Double(first.length)
    let memory =
      hasMemory
      ? byCell.compactMap { growth($0, "passBytes") }.span.map {
        ", the measured memory of a pass \($0)-fold"
      } ?? "" : ""
    let uses = own.prefix(2).map { Int($0.row.mean("weightUses")).grouped }
      .joined(separator: " and ")
    return """
      From \(first.length) to \(last.length) steps, \(steps.readable) times as many, the parameters \
      \(isFlat ? "stay the same for every cell" : "do not stay the same"), the uses of weights and the \
      activations grow \(steps.readable)-fold\(memory), and the time of a pass \
      \(times.span ?? "?")-fold; for the \(first.cell.rawValue) \
      \(Int(first.row.mean("parameters")).grouped) weights are used \(uses) times over \
      \(own.prefix(2).map { "\($0.length)" }.joined(separator: " and ")) steps.
      """
  }

  private func figures(_ cases: [Case], hasMemory: Bool) -> [ExperimentResult.Figure] {
    func series(_ key: String, _ factor: Double = 1) -> [LineChart.Series] {
      context.cells.enumerated().map { index, cell in
        LineChart.Series(
          cell.rawValue,
          points: cases.filter { $0.cell == cell }.map {
            LineChart.Point(
              x: Double($0.length), y: $0.row.mean(key) * factor,
              spread: $0.row.spread(key).map { $0.lowerBound * factor...$0.upperBound * factor })
          }, colour: index)
      }
    }
    let x = LineChart.Axis("T, steps that the network is unrolled over")
    let uses = series("weightUses", 1e-3)
    let flat = series("parameters", 1e-3).map {
      LineChart.Series("", points: $0.points, style: .dashed, colour: $0.colour)
    }
    let counts = LineChart(
      "Uses of weights and parameters over the steps, by cell", x: x,
      y: LineChart.Axis("uses of weights, dashed parameters, in thousands", including: 0...1),
      series: uses + flat)
    let times = LineChart(
      "The time of a training pass over the steps, by cell", x: x,
      y: LineChart.Axis("time of a training pass, ms", including: 0...0.1),
      series: series("passSeconds", 1e3))
    let memory = LineChart(
      "The memory of a training pass over the steps, by cell", x: x,
      y: LineChart.Axis("memory of a training pass, MiB", including: 0...0.1),
      series: series("passBytes", 1 / 1_048_576))
    return [
      ExperimentResult.Figure(
        name: "uses", picture: counts,
        caption: "Uses of weights grow with T; the parameters, dashed, do not.")
    ]
      + (hasMemory
        ? [
          ExperimentResult.Figure(
            name: "memory", picture: memory,
            caption: "The device's memory that a training pass takes beside the parameters.")
        ] : [])
      + [
        ExperimentResult.Figure(
          name: "time", picture: times,
          caption: "The median time of a training pass of 32 sequences.")
      ]
  }
}

extension [Double] {
  /// `7.8` or `7.8 to 8.1`; nil of nothing.
  var span: String? {
    guard let least = self.min(), let most = self.max() else { return nil }
    let (low, high) = (least.readable, most.readable)
    return low == high ? low : "\(low) to \(high)"
  }
}
