extension GraphPass {
  /// Queues one instruction.
  func run(_ instruction: ProgramInstruction) throws {
    switch instruction {
    case .fill(let y, let count, let value):
      try backend.fill(buffer(y), count: count, with: value)
    case .copy(let x, let from, let y, let into, let accumulates):
      try backend.copyView(buffer(x), from, to: buffer(y), into, accumulates: accumulates)
    case .elementwise(let function, let inputs, let y, let extents):
      try backend.elementwise(
        function, inputs.map { (try buffer($0), $1) }, into: buffer(y), extents: extents)
    case .reduce(let reduction, let x, let kept, let reduced, let y, let scale):
      try backend.reduce(
        reduction, buffer(x), kept: kept, reduced: reduced, into: buffer(y), scale: scale)
    case .product(let product, let a, let b, let y):
      try backend.product(product, buffer(a), buffer(b), into: buffer(y))
    case .linear(let x, let weight, let bias, let y, let rows, let inputSize, let outputSize):
      try backend.linearForward(
        x: buffer(x), weight: buffer(weight), bias: optional(bias), y: buffer(y), rows: rows,
        inputSize: inputSize, outputSize: outputSize)
    case .linearBackward(
      let x, let weight, let gradY, let gradX, let gradWeight, let gradBias, let rows,
      let inputSize,
      let outputSize):
      try backend.linearBackward(
        x: buffer(x), weight: buffer(weight), gradY: buffer(gradY), gradX: optional(gradX),
        gradWeight: buffer(gradWeight), gradBias: optional(gradBias), rows: rows,
        inputSize: inputSize, outputSize: outputSize)
    case .embedding(let x, let index, let y, let count, let vocabulary, let width):
      try backend.embeddingForward(
        indices: indices[index], weight: buffer(x), y: buffer(y), count: count,
        vocabulary: vocabulary, width: width)
    case .embeddingBackward(let y, let index, let x, let count, let vocabulary, let width):
      try backend.embeddingBackward(
        indices: indices[index], gradY: buffer(y), gradWeight: buffer(x), count: count,
        vocabulary: vocabulary, width: width)
    case .convolve(let work, let y):
      try backend.convolve(
        work.operation, buffer(work.x), weight: buffer(work.weight), bias: optional(work.bias),
        added: optional(work.added), into: buffer(y))
    case .unfold(let window, let x, let y, let padding):
      try backend.unfold(window, buffer(x), into: buffer(y), padding: padding)
    case .unfoldRows(let window, let channels, let x, let y):
      try backend.unfoldRows(window, channels: channels, buffer(x), into: buffer(y))
    case .fold(let window, let x, let y): try backend.fold(window, buffer(x), into: buffer(y))
    case .gather(let x, let index, let y, let outer, let extent, let inner, let count):
      try backend.gather(
        buffer(x), indices: indices[index], into: buffer(y), outer: outer, extent: extent,
        inner: inner, count: count)
    case .scatter(let x, let index, let y, let outer, let extent, let inner, let count):
      try backend.scatter(
        buffer(x), indices: indices[index], into: buffer(y), outer: outer, extent: extent,
        inner: inner, count: count)
    case .softmax(let x, let y, let rows, let width, let isLogarithm):
      try backend.softmax(
        buffer(x), into: buffer(y), rows: rows, width: width, isLogarithm: isLogarithm)
    case .softmaxBackward(let y, let gradY, let gradX, let rows, let width, let isLogarithm):
      try backend.softmaxBackward(
        y: buffer(y), gradY: buffer(gradY), into: buffer(gradX), rows: rows, width: width,
        isLogarithm: isLogarithm)
    case .normalize(let x, let weights, let y, let statistics, let rows, let width, let epsilon):
      try backend.normalize(
        buffer(x), weights: optional(weights), into: buffer(y), statistics: buffer(statistics),
        rows: rows, width: width, epsilon: epsilon)
    case .normalizeBackward(
      let y, let statistics, let weights, let gradY, let gradX, let rows, let width):
      try backend.normalizeBackward(
        y: buffer(y), statistics: buffer(statistics), weights: optional(weights),
        gradY: buffer(gradY), into: buffer(gradX), rows: rows, width: width)
    case .dropout(let x, let y, let count, let probability, let stream):
      guard let seed = dropoutSeed else {
        return try backend.copy(buffer(x), to: buffer(y), count: count)
      }
      // Streams of their own, far above those of the layers of stacks.
      try backend.dropout(
        buffer(x), y: buffer(y), count: count, probability: probability,
        random: Philox(
          seed: RandomStream.seed(seed.seed, segment: segment),
          stream: RandomStream.dropout(layer: 1 << 12 + stream, step: seed.step)))
    case .recurrentForward, .recurrentBackward: try runRecurrent(instruction)
    case .crossEntropy, .regression, .ctc: try runLoss(instruction)
    }
  }

  func optional(_ index: Int?) throws -> B.Buffer? { try index.map { try buffer($0) } }

  private func runRecurrent(_ instruction: ProgramInstruction) throws {
    switch instruction {
    case .recurrentForward(let work, _):
      try stacks[work.stack].forward(
        x: buffer(work.x), lengths: lengths(of: work), initial: work.initial.map(optional),
        final: work.final.map(optional), dropoutSeed: dropoutSeed, segment: segment)
    case .recurrentBackward(let work, _, let gradY, let gradFinal, let gradX, let gradInitial):
      // A stack writes its parameters' gradients; where another wrote there before, they are added.
      let shared = sharedGradients[work.stack]
      for (gradient, kept, count) in shared {
        try backend.copy(gradient, to: kept, count: count)
      }
      try stacks[work.stack].backward(
        x: buffer(work.x), lengths: lengths(of: work), isGiven: work.initial.map { $0 != nil },
        gradY: buffer(gradY), gradFinal: gradFinal.map(optional), gradX: optional(gradX),
        gradInitial: gradInitial.map(optional),
        carried: carriedPlaces[work.stack].map {
          (final: stateGradients.final?.stacks[$0], initial: stateGradients.initial?.stacks[$0])
        }, dropoutSeed: dropoutSeed, segment: segment
      ) { layer in
        if shared.isEmpty { try finish(program.stacks[work.stack].parameterNames(layer: layer)) }
      }
      for (gradient, kept, count) in shared {
        try backend.add(kept, to: gradient, count: count)
      }
      if !shared.isEmpty { try finish(program.stacks[work.stack].parameters.map(\.name)) }
    default: preconditionFailure("no recurrent instruction")
    }
  }

  /// The lengths of a stack's sequences; nil where this pass has none shorter than T, which is computed faster.
  private func lengths(of work: ProgramRecurrentWork) -> B.IndexBuffer? {
    let stack = program.stacks[work.stack]
    guard let index = stack.lengths else { return nil }
    let lengths = hostValues[program.indexWrites[index].host]
    return lengths.allSatisfy { $0 == Double(stack.sequenceLength) } ? nil : indices[index]
  }

  private func runLoss(_ instruction: ProgramInstruction) throws {
    func scale(_ host: Int) -> Double { lossDivisor.map { 1 / $0 } ?? hostValues[host].first ?? 0 }
    switch instruction {
    case .crossEntropy(
      let logits, let targets, let weights, let smoothing, let gradient, let loss, let rows,
      let classes, let host):
      guard weights != nil || smoothing != 0 else {
        return try backend.softmaxCrossEntropy(
          logits: buffer(logits), targets: indices[targets], gradLogits: optional(gradient),
          loss: buffer(loss), rows: rows, classes: classes, scale: scale(host))
      }
      try backend.crossEntropy(
        logits: buffer(logits), targets: indices[targets], classWeights: optional(weights),
        smoothing: smoothing, gradLogits: optional(gradient), loss: buffer(loss), rows: rows,
        classes: classes, scale: scale(host))
    case .regression(
      let kind, let predictions, let targets, let counted, let gradient, let loss, let rows,
      let width, let host):
      try backend.regressionLoss(
        kind, predictions: buffer(predictions), targets: buffer(targets),
        counted: counted.map { indices[$0] }, gradPredictions: optional(gradient),
        loss: buffer(loss), rows: rows, width: width, scale: scale(host))
    case .ctc(
      let logits, let labels, let lengths, let labelLengths, let weights, let gradient, let loss,
      let sequenceLength, let batchSize, let classes, let maximumLabels, let blank):
      try backend.connectionistTemporalClassification(
        CTCWork(
          sequenceLength: sequenceLength, batchSize: batchSize, classes: classes,
          maximumLabels: maximumLabels, blank: blank, labels: indices[labels],
          lengths: indices[lengths], labelLengths: indices[labelLengths], dropsImpossible: true),
        logits: buffer(logits), weights: buffer(weights), gradLogits: optional(gradient),
        loss: buffer(loss))
    default: preconditionFailure("no loss")
    }
  }
}
