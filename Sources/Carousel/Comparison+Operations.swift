import CarouselModel

/// An embedding's rows, and the gradient that is summed into them.
package struct EmbeddingComparison: ComparisonCase {
  /// M indices into V rows of E elements.
  let count: Int, vocabulary: Int, width: Int
  /// `embedding`.
  package var operation: String { "embedding" }
  /// M, V and E.
  package var sizes: KeyValuePairs<String, Int> {
    ["rows": count, "vocabularySize": vocabulary, "width": width]
  }

  /// y and the gradient of the weight.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let indices = try backend.makeIndexBuffer(count: count)
    try backend.write(
      ComparisonInput.indices(count: count, below: vocabulary, seed: seed, index: 0), to: indices)
    let weight = ComparisonInput.normal([vocabulary, width], seed: seed, index: 1)
    let gradY = ComparisonInput.normal([count, width], seed: seed, index: 2)
    let y = try backend.makePoisonedBuffer(count: count * width)
    let gradWeight = try backend.makePoisonedBuffer(count: vocabulary * width)
    try backend.embeddingForward(
      indices: indices, weight: backend.makeBuffer(weight), y: y, count: count,
      vocabulary: vocabulary, width: width)
    try backend.embeddingBackward(
      indices: indices, gradY: backend.makeBuffer(gradY), gradWeight: gradWeight, count: count,
      vocabulary: vocabulary, width: width)
    return [
      ("y", try backend.readTensor(y, gradY.shape)),
      ("grad_weight", try backend.readTensor(gradWeight, weight.shape)),
    ]
  }
}

/// A linear layer.
package struct LinearComparison: ComparisonCase {
  /// M rows of K elements in, of O elements out.
  let rows: Int, inputSize: Int, outputSize: Int
  var bias = true
  /// `linear`.
  package var operation: String { "linear" }
  /// M, K and O.
  package var sizes: KeyValuePairs<String, Int> {
    ["rows": rows, "inputSize": inputSize, "outputSize": outputSize]
  }
  /// Whether there is a bias.
  package var options: [CaseOption] { [("bias", bias ? "single" : "none")] }

  /// y and all gradients.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let shapes: (x: Shape, y: Shape) = ([rows, inputSize], [rows, outputSize])
    let weightShape: Shape = [outputSize, inputSize]
    let x = try backend.makeBuffer(ComparisonInput.normal(shapes.x, seed: seed, index: 0))
    let weight = try backend.makeBuffer(ComparisonInput.normal(weightShape, seed: seed, index: 1))
    let biasBuffer =
      bias
      ? try backend.makeBuffer(ComparisonInput.normal([outputSize], seed: seed, index: 2)) : nil
    let gradY = try backend.makeBuffer(ComparisonInput.normal(shapes.y, seed: seed, index: 3))
    let y = try backend.makePoisonedBuffer(count: shapes.y.count)
    let gradX = try backend.makePoisonedBuffer(count: shapes.x.count)
    let gradWeight = try backend.makePoisonedBuffer(count: weightShape.count)
    let gradBias = bias ? try backend.makePoisonedBuffer(count: outputSize) : nil
    try backend.linearForward(
      x: x, weight: weight, bias: biasBuffer, y: y, rows: rows, inputSize: inputSize,
      outputSize: outputSize)
    try backend.linearBackward(
      x: x, weight: weight, gradY: gradY, gradX: gradX, gradWeight: gradWeight, gradBias: gradBias,
      rows: rows, inputSize: inputSize, outputSize: outputSize)
    var result = [
      ("y", try backend.readTensor(y, shapes.y)),
      ("grad_x", try backend.readTensor(gradX, shapes.x)),
      ("grad_weight", try backend.readTensor(gradWeight, weightShape)),
    ]
    if let gradBias {
      result.append(("grad_bias", try backend.readTensor(gradBias, [outputSize])))
    }
    return result
  }
}

/// Softmax with cross-entropy, some rows left out.
package struct CrossEntropyComparison: ComparisonCase {
  /// M rows of V logits.
  let rows: Int, classes: Int
  /// Whether the gradient overwrites the logits.
  var inPlace = false
  /// `softmaxCrossEntropy`.
  package var operation: String { "softmaxCrossEntropy" }
  /// M and V.
  package var sizes: KeyValuePairs<String, Int> { ["rows": rows, "classes": classes] }
  /// Where the gradient goes.
  package var options: [CaseOption] { [("inPlace", "\(inPlace)")] }

  /// The loss and the gradient of the logits.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let shape: Shape = [rows, classes]
    let logits = try backend.makeBuffer(
      ComparisonInput.normal(shape, seed: seed, index: 0, deviation: 4))
    var targets = ComparisonInput.indices(count: rows, below: classes, seed: seed, index: 1)
    for index in stride(from: 3, to: rows, by: 5) { targets[index] = -1 }
    let targetBuffer = try backend.makeIndexBuffer(count: rows)
    try backend.write(targets, to: targetBuffer)
    let gradLogits = inPlace ? logits : try backend.makePoisonedBuffer(count: shape.count)
    let loss = try backend.makePoisonedBuffer(count: 1)
    try backend.softmaxCrossEntropy(
      logits: logits, targets: targetBuffer, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: classes, scale: 1 / Double(targets.count { $0 >= 0 }))
    return [
      ("loss", try backend.readTensor(loss, [1])),
      ("grad_logits", try backend.readTensor(gradLogits, shape)),
    ]
  }
}

/// The squared error and its gradient; every fifth row does not count, and holds NaN.
package struct SquaredErrorComparison: ComparisonCase {
  let rows: Int, width: Int
  /// `squaredError`.
  package var operation: String { "squaredError" }
  /// M and O.
  package var sizes: KeyValuePairs<String, Int> { ["rows": rows, "width": width] }

  /// The loss and the gradient of the predictions.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let shape: Shape = [rows, width]
    let predictions = try backend.makeBuffer(ComparisonInput.normal(shape, seed: seed, index: 0))
    var targets = ComparisonInput.normal(shape, seed: seed, index: 1)
    let counted = (0..<rows).map { Int32($0 % 5 == 3 ? 0 : 1) }
    for row in 0..<rows where counted[row] == 0 {
      targets.fill(row * width..<(row + 1) * width, with: .nan)
    }
    let countedBuffer = try backend.makeIndexBuffer(count: rows)
    try backend.write(counted, to: countedBuffer)
    let gradient = try backend.makePoisonedBuffer(count: shape.count)
    let loss = try backend.makePoisonedBuffer(count: 1)
    try backend.squaredError(
      predictions: predictions, targets: backend.makeBuffer(targets), counted: countedBuffer,
      gradPredictions: gradient, loss: loss, rows: rows, width: width, scale: 1 / Double(rows))
    return [
      ("loss", try backend.readTensor(loss, [1])),
      ("grad_predictions", try backend.readTensor(gradient, shape)),
    ]
  }
}

/// Dropout: the same mask everywhere.
package struct DropoutComparison: ComparisonCase {
  let count: Int
  let probability: Double
  /// Whether the result overwrites the input.
  var inPlace = false
  /// `dropout`.
  package var operation: String { "dropout" }
  /// The number of elements.
  package var sizes: KeyValuePairs<String, Int> { ["count": count] }
  /// The probability, and where the result goes.
  package var options: [CaseOption] {
    [("probability", "\(probability)"), ("inPlace", "\(inPlace)")]
  }

  /// The result.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let x = try backend.makeBuffer(ComparisonInput.normal([count], seed: seed, index: 0))
    let y = inPlace ? x : try backend.makePoisonedBuffer(count: count)
    try backend.dropout(
      x, y: y, count: count, probability: probability,
      random: Philox(seed: seed, stream: RandomStream.dropout(layer: 0, step: 0)))
    return [("y", try backend.readTensor(y, [count]))]
  }
}

/// The Euclidean norm.
package struct NormComparison: ComparisonCase {
  let count: Int
  /// `norm`.
  package var operation: String { "norm" }
  /// The number of elements.
  package var sizes: KeyValuePairs<String, Int> { ["count": count] }

  /// The norm.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let x = try backend.makeBuffer(ComparisonInput.normal([count], seed: seed, index: 0))
    let norm = try backend.makePoisonedBuffer(count: 1)
    try backend.norm(of: x, count: count, into: norm)
    return [("norm", try backend.readTensor(norm, [1]))]
  }
}

/// One operator of a graph, forward and backward.
package struct GraphComparison: ComparisonCase {
  let item: GraphCase
  /// `graph`.
  package var operation: String { "graph" }
  /// The elements of all inputs together.
  package var sizes: KeyValuePairs<String, Int> {
    ["elements": item.inputs.values.reduce(0) { $0 + $1.shape.count }]
  }
  /// Which operator it is.
  package var options: [CaseOption] { [("operator", item.name)] }

  /// All outputs, the gradients of the inputs and those of the parameters; the seed does not matter.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    try item.tensors(on: backend)
  }

  /// Every operator.
  static var all: [any ComparisonCase] { GraphCase.all.map(GraphComparison.init) }

  /// An operator for each kernel that graphs have of their own.
  static var few: [any ComparisonCase] {
    let names: Set = [
      "tanh", "transpose", "sum over outer", "matmul of a batch", "convolution of an image",
      "embedding", "softmax", "layer normalisation", "last over time", "CTC", "quantiles",
      "cross-entropy",
    ]
    return GraphCase.all.filter { names.contains($0.name) }.map(GraphComparison.init)
  }
}
