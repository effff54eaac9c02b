import CarouselModel
import CarouselOpenCL
import Testing

/// One recurrent layer, forward and backward.
struct LayerWork: Work {
  var sequenceLength: Int
  var batchSize: Int
  var layer: RecurrentLayer
  /// The steps of each sequence; nil for T everywhere.
  var lengths: [Int32]?
  /// Whether h₀, c₀ are given, and the gradients of h_T, c_T.
  var hasInitial = true
  var hasGradFinal = true
  /// Whether the final states overwrite the initial ones.
  var isFinalInitial = false
  var wantsGradX = true
  var wantsGradInitial = true
  /// What the masks are drawn from.
  var noise: RecurrentNoise? = RecurrentNoise(seed: 7, step: 3)
  /// 2 for a layer that has half of each row of y and of its gradients, the second where it is reverse.
  var directions = 1
  /// How often the same reserve is used, each time with another x.
  var passes = 1
  /// The factor of x and of the initial states.
  var scale = 1.0
  /// Whether the weights of products are numbers of FP16.
  var hasHalfWeights = false

  init(_ layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, lengths: [Int32]? = nil) {
    self.layer = layer
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.lengths = lengths
  }

  var rows: Int { sequenceLength * batchSize }
  var stateCount: Int { batchSize * layer.stateSize }
  var memoryCount: Int { batchSize * layer.memorySize }
  var stateRows: StateRows {
    StateRows(
      stride: directions * layer.stateSize,
      offset: layer.isReverse ? (directions - 1) * layer.stateSize : 0)
  }
  var outputCount: Int { rows * stateRows.stride }
  var inputCount: Int { rows * layer.inputSize }
  var descriptions: [ParameterDescription] { layer.parameterDescriptions(suffix: "") }
  /// A power of 2 near 1/√H.
  var weightScale: Double {
    var scale = 1.0
    while scale * scale * Double(layer.hiddenSize) > 1 { scale /= 2 }
    return scale
  }

  private func parameters<Buffer>(
    _ make: (_ index: Int, _ count: Int) throws -> Buffer
  ) throws -> RecurrentParameters<Buffer> {
    var buffers: [String: Buffer] = [:]
    for (index, description) in descriptions.enumerated() {
      buffers[description.name] = try make(index, description.shape.count)
    }
    return try #require(RecurrentParameters { buffers[$0] })
  }

  func parameters<B: Backend>(on backend: B) throws -> RecurrentParameters<B.Buffer> {
    try parameters { index, count in
      let values = numbers(count, stream: 1 + index, scale: weightScale)
      let isFactor = ["weight_ih", "weight_hh", "weight_hr"].contains(descriptions[index].name)
      return try backend.input(
        hasHalfWeights && isFactor ? values.map { Double(Float16($0)) } : values)
    }
  }

  func state<B: Backend>(on backend: B, stream: Int) throws -> RecurrentState<B.Buffer> {
    let scale = stream == 25 ? scale : 1
    return try state(stream: stream) { index, count in
      let values = numbers(count, stream: index, scale: scale)
      let isMemory = index != stream && stream == 25
      return try backend.input(
        isMemory
          ? layer.cell.traits.memory(from: values, hiddenSize: layer.hiddenSize) : values)
    }
  }

  func outputState<B: Backend>(on backend: B) throws -> RecurrentState<B.Buffer> {
    try state(stream: 0) { try backend.output($1) }
  }

  private func state<Buffer>(
    stream: Int, _ make: (_ stream: Int, _ count: Int) throws -> Buffer
  ) throws -> RecurrentState<Buffer> {
    RecurrentState(
      hidden: try make(stream, stateCount),
      memory: memoryCount > 0 ? try make(stream + 1, memoryCount) : nil)
  }

  func work<B: Backend>(
    on backend: B, x: [Double], initial: RecurrentState<B.Buffer>?, reserve: B.RecurrentReserve,
    parameters: RecurrentParameters<B.Buffer>? = nil
  ) throws -> RecurrentWork<B> {
    RecurrentWork(
      layer: layer, sequenceLength: sequenceLength, batchSize: batchSize,
      lengths: try lengths.map { try backend.indices($0) },
      parameters: try parameters ?? self.parameters(on: backend), x: try backend.input(x),
      initial: initial, y: try backend.output(outputCount), stateRows: stateRows,
      reserve: reserve, noise: noise)
  }

  func reserve<B: Backend>(on backend: B, training: Bool) throws -> B.RecurrentReserve {
    try backend.makeReserve(
      for: layer, sequenceLength: sequenceLength, batchSize: batchSize, training: training)
  }

  /// x, no numbers where a sequence has no step: nothing may depend on them.
  private func inputs(stream: Int) -> [Double] {
    var x = numbers(inputCount, stream: stream, scale: scale)
    for (n, length) in (lengths ?? []).enumerated() {
      for t in Int(length)..<max(sequenceLength, Int(length)) {
        let first = (t * batchSize + n) * layer.inputSize
        for i in first..<first + layer.inputSize { x[i] = .nan }
      }
    }
    return x
  }

  /// Whether element `index` of y is the layer's.
  private func isOwn(_ index: Int) -> Bool {
    stateRows.offset..<stateRows.offset + layer.stateSize ~= index % stateRows.stride
  }

  /// What the layer wrote of y, and nothing beside it.
  private func outcomeOfY<B: Backend>(on backend: B, _ y: B.Buffer) throws -> Outcome {
    let all = try backend.outcome("y", y, outputCount)
    let values = all.values.enumerated()
    #expect(values.allSatisfy { isOwn($0) || $1.isNaN }, "y was written beside the layer's part")
    return Outcome(name: all.name, values: values.filter { isOwn($0.offset) }.map(\.element))
  }

  /// ∂loss/∂y, no numbers beside the layer's part.
  private func gradientOfY() -> [Double] {
    numbers(outputCount, stream: 27).enumerated().map { isOwn($0) ? $1 : .nan }
  }

  /// y and the final states of a forward pass.
  func forward<B: Backend>(
    on backend: B, training: Bool, x: [Double]? = nil,
    parameters: RecurrentParameters<B.Buffer>? = nil
  ) throws -> [[Double]] {
    let final = try outputState(on: backend)
    let work = try work(
      on: backend, x: x ?? numbers(inputCount, stream: 20),
      initial: state(on: backend, stream: 25), reserve: reserve(on: backend, training: training),
      parameters: parameters)
    try backend.recurrentForward(work, final: final)
    return try [(work.y, outputCount), (final.hidden, stateCount)].map {
      try backend.read($0, count: $1)
    } + (final.memory.map { [try backend.read($0, count: memoryCount)] } ?? [])
  }

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let reserve = try reserve(on: backend, training: true)
    var result: [Outcome] = []
    for pass in 0..<passes {
      result = try outcomes(on: backend, reserve: reserve, pass: pass)
    }
    return result
  }

  private func outcomes<B: Backend>(
    on backend: B, reserve: B.RecurrentReserve, pass: Int
  ) throws -> [Outcome] {
    let initial = hasInitial ? try state(on: backend, stream: 25) : nil
    let final = isFinalInitial ? try state(on: backend, stream: 25) : try outputState(on: backend)
    var work = try work(
      on: backend, x: inputs(stream: 20 + pass),
      initial: isFinalInitial ? final : initial, reserve: reserve)
    try backend.recurrentForward(work, final: final)
    var result = [
      try outcomeOfY(on: backend, work.y),
      try backend.outcome("h_n", final.hidden, stateCount),
    ]
    if let memory = final.memory {
      result.append(try backend.outcome("states beside h", memory, memoryCount))
    }
    work.initial = initial
    let gradX = wantsGradX ? try backend.output(inputCount) : nil
    let gradInitial = wantsGradInitial ? try outputState(on: backend) : nil
    let gradients = try parameters { try backend.output($1) }
    try backend.recurrentBackward(
      work, gradY: backend.input(gradientOfY()),
      gradFinal: hasGradFinal ? state(on: backend, stream: 28) : nil, gradX: gradX,
      gradInitial: gradInitial, gradParameters: gradients)
    var outputs = [
      ("grad_x", gradX, inputCount), ("grad_h_0", gradInitial?.hidden, stateCount),
      ("gradients of states beside h", gradInitial?.memory, memoryCount),
    ]
    for description in descriptions {
      let gradient = gradients.buffer(description.name)
      outputs.append(("grad_" + description.name, gradient, description.shape.count))
    }
    for (name, buffer, count) in outputs {
      if let buffer { result.append(try backend.outcome(name, buffer, count)) }
    }
    return result
  }
}

extension RecurrentParameters {
  /// The buffer of a parameter by its name.
  func buffer(_ name: String) -> Buffer? {
    switch name {
    case "weight_ih": weightIH
    case "weight_hh": weightHH
    case "bias_ih": biasIH
    case "bias_hh": biasHH
    case "weight_ci": peepholeInput
    case "weight_cf": peepholeForget
    case "weight_co": peepholeOutput
    case "weight_hr": weightHR
    case "weight_ln_ih": normIH
    case "weight_ln_hh": normHH
    case "weight_ln_c": normCell
    case "bias_ln_c": normCellBias
    default: nil
    }
  }
}
