// What an operation asks of its arguments. Both backends begin each operation with its check, so that no
// wrong size and no index out of range reaches a kernel. A check costs O(1), or O(n) for n indices.

extension Backend {
  /// Throws where a buffer holds fewer than `rows`·`columns` elements, or where a size is negative.
  package func check(
    _ buffer: Buffer?, _ name: StaticString, _ rows: Int, _ columns: Int = 1
  ) throws(CarouselError) {
    guard let buffer else { return }
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, count <= buffer.count else {
      let sizes = columns == 1 ? "\(rows)" : "\(rows) · \(columns)"
      throw CarouselError(
        .usage, "\(name): expected a buffer of \(sizes) elements, found one of \(buffer.count)")
    }
  }

  /// The same of a buffer that must be there where `isNeeded`.
  private func check(
    _ buffer: Buffer?, _ name: StaticString, _ rows: Int, _ columns: Int = 1, isNeeded: Bool
  ) throws(CarouselError) {
    if isNeeded, buffer == nil {
      throw CarouselError(
        .usage, "the layer has a parameter \(name), but no buffer was given for it")
    }
    try check(buffer, name, rows, columns)
  }

  /// Throws where one of the first `count` indices is not in `range`, but for negative ones where they
  /// are ignored.
  package func check(
    _ indices: IndexBuffer, _ name: StaticString, count: Int, in range: Range<Int>,
    ignoresNegative: Bool = false
  ) throws(CarouselError) {
    try check(indices, count: count)
    let values = indices.values
    let wrong = values.prefix(count).firstIndex { value in
      !(range.contains(Int(value)) || (ignoresNegative && value < 0))
    }
    guard let wrong else { return }
    throw CarouselError(
      .badData,
      "the \(name) in row \(wrong) must be at least 0 and at most \(range.upperBound - 1), but is "
        + "\(values[wrong])")
  }

  /// Throws where a buffer has no room for `count` indices.
  package func check(_ indices: IndexBuffer, count: Int) throws(CarouselError) {
    guard 0...indices.values.count ~= count else {
      throw CarouselError(
        .usage, "expected a buffer of \(count) indices, found one of \(indices.values.count)")
    }
  }

  package func checkSlice(
    of buffer: Buffer, offset: Int, count: Int
  ) throws(CarouselError) {
    guard offset >= 0, count >= 0, offset <= buffer.count, count <= buffer.count - offset else {
      throw CarouselError(
        .usage,
        "a slice of \(count) elements from \(offset) on is not in a buffer of \(buffer.count)")
    }
    guard offset % sliceAlignment == 0 else {
      throw CarouselError(
        .usage, "a slice must begin at a multiple of \(sliceAlignment), but begins at \(offset)")
    }
  }

  package func checkEmbedding(
    indices: IndexBuffer, table: Buffer, rows: Buffer, count: Int, vocabulary: Int, width: Int
  ) throws(CarouselError) {
    try check(table, "the embedding's table", vocabulary, width)
    try check(rows, "the embedding's rows", count, width)
    try check(indices, "token", count: count, in: 0..<vocabulary)
  }

  package func checkLinear(
    x: Buffer, weight: Buffer, bias: Buffer?, y: Buffer, rows: Int, inputSize: Int, outputSize: Int
  ) throws(CarouselError) {
    try check(x, "x", rows, inputSize)
    try check(weight, "weight", outputSize, inputSize)
    try check(bias, "bias", outputSize)
    try check(y, "y", rows, outputSize)
  }

  package func checkLinearBackward(
    x: Buffer, weight: Buffer, gradY: Buffer, gradX: Buffer?, gradWeight: Buffer,
    gradBias: Buffer?, rows: Int, inputSize: Int, outputSize: Int
  ) throws(CarouselError) {
    for (x, weight, bias) in [(x, weight, nil), (gradX ?? x, gradWeight, gradBias)] {
      try checkLinear(
        x: x, weight: weight, bias: bias, y: gradY, rows: rows, inputSize: inputSize,
        outputSize: outputSize)
    }
  }

  package func checkDropout(
    _ x: Buffer, y: Buffer, count: Int, probability: Double
  ) throws(CarouselError) {
    try check(x, "x", count)
    try check(y, "y", count)
    guard probability >= 0, probability < 1 else {
      throw CarouselError(.usage, "dropout must be at least 0 and below 1, but is \(probability)")
    }
  }

  package func checkMerge(
    _ merge: Merge, _ buffers: Buffer..., rows: Int, width: Int
  ) throws(CarouselError) {
    guard merge != .concatenate else {
      throw CarouselError(
        .usage, "directions that are concatenated write side by side and are not merged")
    }
    for buffer in buffers { try check(buffer, "merge", rows, width) }
  }

  package func checkSoftmaxCrossEntropy(
    logits: Buffer, targets: IndexBuffer, gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int
  ) throws(CarouselError) {
    guard classes >= 1 else {
      throw CarouselError(.usage, "there must be at least 1 class, but there are \(classes)")
    }
    try check(logits, "logits", rows, classes)
    try check(gradLogits, "gradLogits", rows, classes)
    try check(loss, "loss", 1)
    try check(targets, "target", count: rows, in: 0..<classes, ignoresNegative: true)
  }

  package func checkSquaredError(
    predictions: Buffer, targets: Buffer, counted: IndexBuffer, gradPredictions: Buffer?,
    loss: Buffer, rows: Int, width: Int
  ) throws(CarouselError) {
    try check(predictions, "predictions", rows, width)
    try check(targets, "targets", rows, width)
    try check(gradPredictions, "gradPredictions", rows, width)
    try check(loss, "loss", 1)
    try check(counted, count: rows)
  }

  package func checkOptimizer(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    gradientNorm: Buffer?, maximumNorm: Double?, step: Int
  ) throws(CarouselError) {
    try check(parameters, "parameters", count)
    try check(gradients, "gradients", count)
    guard moments.count == optimizer.momentCount else {
      throw CarouselError(
        .usage,
        "the optimizer keeps \(optimizer.momentCount) moments, but was given \(moments.count)")
    }
    for moment in moments { try check(moment, "moments", count) }
    try check(gradientNorm, "gradientNorm", 1)
    guard maximumNorm == nil || gradientNorm != nil else {
      throw CarouselError(.usage, "a maximum norm needs the gradient's norm")
    }
    guard step >= 1 else {
      throw CarouselError(.usage, "an optimizer's steps count from 1, but this is step \(step)")
    }
  }

  /// Throws where a reserve cannot be made of these sizes.
  package func checkReserve(
    for layer: RecurrentLayer, sequenceLength: Int, batchSize: Int
  ) throws(CarouselError) {
    try layer.validate()
    try checkSizes(
      sequenceLength: sequenceLength, batchSize: batchSize,
      width: 4 * layer.gateRows + layer.inputSize)
  }

  /// Throws where T or N is below 1, or where T·N rows of `width` elements are more than any device holds.
  package func checkSizes(sequenceLength: Int, batchSize: Int, width: Int) throws(CarouselError) {
    for (name, value) in [("sequence length", sequenceLength), ("batch size", batchSize)]
    where value < 1 {
      throw CarouselError(.usage, "the \(name) must be at least 1, but is \(value)")
    }
    guard Double(sequenceLength) * Double(batchSize) * Double(width) < 0x1p56 else {
      throw CarouselError(
        .noDevice,
        "\(sequenceLength) steps of \(batchSize) sequences are more than any device holds")
    }
  }

  /// Throws where a layer's work does not fit its reserve or its buffers, or a length is out of range.
  package func checkRecurrent(
    _ work: RecurrentWork<Self>, final: RecurrentState<Buffer>?
  ) throws(CarouselError) {
    let (layer, T, N) = (work.layer, work.sequenceLength, work.batchSize)
    guard
      work.reserve.layer == layer, work.reserve.sequenceLength == T, work.reserve.batchSize == N
    else {
      throw CarouselError(.usage, "the reserve was made for another layer or other sizes")
    }
    let rows = work.stateRows
    guard
      rows.offset >= 0, rows.stride > rows.offset, rows.stride.isMultiple(of: layer.stateSize),
      rows.offset.isMultiple(of: layer.stateSize)
    else {
      throw CarouselError(
        .usage,
        "rows of \(layer.stateSize) states cannot lie \(rows.stride) apart from \(rows.offset) on")
    }
    try check(work.x, "x", T * N, layer.inputSize)
    try check(work.y, "y", (T * N - 1) * rows.stride + rows.offset + layer.stateSize)
    try checkParameters(work.parameters, of: layer)
    try checkState(work.initial, of: layer, batchSize: N)
    try checkState(final, of: layer, batchSize: N)
    if let lengths = work.lengths {
      try check(lengths, "length", count: N, in: 0..<T + 1)
    }
  }

  /// The same of the backward pass.
  package func checkRecurrentBackward(
    _ work: RecurrentWork<Self>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?, gradX: Buffer?,
    gradInitial: RecurrentState<Buffer>?, gradParameters: RecurrentParameters<Buffer>
  ) throws(CarouselError) {
    guard work.reserve.training else {
      throw CarouselError(.usage, "the reserve keeps nothing for a backward pass")
    }
    try checkRecurrent(work, final: gradFinal)
    let (layer, rows) = (work.layer, work.sequenceLength * work.batchSize)
    let states = work.stateRows
    try check(gradY, "gradY", (rows - 1) * states.stride + states.offset + layer.stateSize)
    try check(gradX, "gradX", rows, layer.inputSize)
    try checkState(gradInitial, of: layer, batchSize: work.batchSize)
    try checkParameters(gradParameters, of: layer)
  }

  private func checkState(
    _ state: RecurrentState<Buffer>?, of layer: RecurrentLayer, batchSize: Int
  ) throws(CarouselError) {
    try check(state?.hidden, "h", batchSize, layer.stateSize)
    try check(state?.memory, "the states beside h", batchSize, layer.memorySize)
  }

  private func checkParameters(
    _ parameters: RecurrentParameters<Buffer>, of layer: RecurrentLayer
  ) throws(CarouselError) {
    let (options, H, rows) = (layer.options, layer.hiddenSize, layer.gateRows)
    try check(parameters.weightIH, "weight_ih", rows, layer.inputSize)
    try check(
      parameters.weightHH, "weight_hh", rows, layer.recurrentFanIn,
      isNeeded: layer.recurrence != .absent)
    try check(parameters.biasIH, "bias_ih", rows, isNeeded: options.bias != .none)
    try check(parameters.biasHH, "bias_hh", rows, isNeeded: layer.hasRecurrentBias)
    try check(
      parameters.weightHR, "weight_hr", layer.stateSize, H, isNeeded: options.projectionSize != nil)
    let (sees, norms) = (options.peepholes, options.layerNorm)
    try check(parameters.peepholeInput, "weight_ci", H, isNeeded: sees)
    try check(
      parameters.peepholeForget, "weight_cf", H, isNeeded: sees && options.forgetGate == .own)
    try check(parameters.peepholeOutput, "weight_co", H, isNeeded: sees)
    let normsCell = norms && layer.cell.traits.normalizesMemory
    try check(parameters.normIH, "weight_ln_ih", rows, isNeeded: norms)
    try check(parameters.normHH, "weight_ln_hh", rows, isNeeded: norms)
    try check(parameters.normCell, "weight_ln_c", H, isNeeded: normsCell)
    try check(
      parameters.normCellBias, "bias_ln_c", H, isNeeded: normsCell && options.bias != .none)
  }

  package func checkCrossEntropy(
    logits: Buffer, targets: IndexBuffer, classWeights: Buffer?, smoothing: Double,
    gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int
  ) throws(CarouselError) {
    try checkSoftmaxCrossEntropy(
      logits: logits, targets: targets, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: classes)
    try check(classWeights, "classWeights", classes)
    guard smoothing >= 0, smoothing <= 1 else {
      throw CarouselError(
        .usage, "label smoothing must be at least 0 and at most 1, but is \(smoothing)")
    }
  }

  package func checkRegression(
    _ kind: RegressionLoss, predictions: Buffer, targets: Buffer, counted: IndexBuffer?,
    gradPredictions: Buffer?, loss: Buffer, rows: Int, width: Int
  ) throws(CarouselError) {
    try kind.validate()
    let (predicted, overflow) = width.multipliedReportingOverflow(by: kind.predictionsPerTarget)
    try check(predictions, "predictions", rows, overflow ? .max : predicted)
    try check(targets, "targets", rows, width)
    try check(gradPredictions, "gradPredictions", rows, overflow ? .max : predicted)
    try check(loss, "loss", 1)
    if let counted { try check(counted, count: rows) }
  }

  package func checkCTC(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?,
    loss: Buffer
  ) throws(CarouselError) {
    let (T, N, V, S) = (work.sequenceLength, work.batchSize, work.classes, work.maximumLabels)
    try checkSizes(sequenceLength: T, batchSize: N, width: max(V, 2 * S + 1))
    guard V >= 1, 0..<V ~= work.blank else {
      throw CarouselError(
        .usage, "the blank must be one of the \(V) classes, but is class \(work.blank)")
    }
    try check(logits, "logits", T * N, V)
    try check(gradLogits, "gradLogits", T * N, V)
    try check(weights, "weights", N)
    try check(loss, "loss", 1)
    try check(work.lengths, "length", count: N, in: 0..<T + 1)
    try check(work.labelLengths, "number of labels", count: N, in: 0..<S + 1)
    try check(work.labels, count: N * S)
    let (labels, counts) = (work.labels.values, work.labelLengths.values)
    for n in 0..<N {
      for s in 0..<Int(counts[n]) {
        let label = Int(labels[n * S + s])
        guard 0..<V ~= label, label != work.blank else {
          throw CarouselError(
            .badData,
            "label \(s) of sequence \(n) must be a class below \(V) and not the blank \(work.blank), "
              + "but is \(label)")
        }
      }
    }
  }
}
