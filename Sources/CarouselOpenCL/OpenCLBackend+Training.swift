import CarouselModel
import Foundation
import OpenCLDriver

// The twins of embedding.cl, dropout.cl, reduce.cl and optimizer.cl.
extension OpenCLBackend {
  private var lanes: Int { launcher.parameters.lanes }

  /// One launch, a work-group for each row of `y`.
  public func embeddingForward(
    indices: IndexBuffer, weight: Buffer, y: Buffer, count: Int, vocabulary: Int, width: Int
  ) throws {
    try checkEmbedding(
      indices: indices, table: weight, rows: y, count: count, vocabulary: vocabulary, width: width)
    try launcher.launch(
      launcher.kernel("embedding_forward", in: ["ops/embedding.cl"]),
      global: [lanes, count], local: [lanes, 1], bytes: 4 * Double(count) * Double(2 * width + 1),
      [
        "indices": .buffer(indices.memory), "weight": .buffer(weight), "y": .buffer(y),
        "E": .int(width),
      ])
  }

  /// SUM_COLUMNS and SUM_ROWS of `ops/embedding.cl`.
  private static let sumColumns = 32, sumRows = 8

  /// One launch, a work-group for each row of the table, or for 32 columns of one, each of which reads
  /// all indices: no atomics, time ∝ V·M/cores.
  public func embeddingBackward(
    indices: IndexBuffer, gradY: Buffer, gradWeight: Buffer, count: Int, vocabulary: Int,
    width: Int
  ) throws {
    try checkEmbedding(
      indices: indices, table: gradWeight, rows: gradY, count: count, vocabulary: vocabulary,
      width: width)
    let local = lanes == 1 ? [1, 1] : [Self.sumColumns, Self.sumRows]
    let columns = lanes == 1 ? 1 : roundUp(width, to: Self.sumColumns)
    try launcher.launch(
      launcher.kernel("embedding_backward", in: ["ops/embedding.cl"]),
      global: [columns, local[1] * vocabulary], local: local, flops: Double(count * width),
      bytes: 4 * (Double(count) * Double(width + 1) + Double(vocabulary * width)),
      [
        "indices": .buffer(indices.memory), "grad_y": .buffer(gradY),
        "grad_weight": .buffer(gradWeight), "M": .int(count), "E": .int(width),
      ])
  }

  /// One launch; the mask is the reference's, element by element.
  public func dropout(
    _ x: Buffer, y: Buffer, count: Int, probability: Double, random: Philox
  ) throws {
    try checkDropout(x, y: y, count: count, probability: probability)
    try launcher.drop(x, into: y, count: count, probability: probability, random: random)
  }

  /// Two launches: sums of chunks, then their sum.
  public func norm(of x: Buffer, count: Int, into norm: Buffer) throws {
    try check(x, "x", count)
    try check(norm, "norm", 1)
    try sum(x, count: count, squares: true, scale: 1, root: true, into: norm)
  }

  /// `result[0]` = scale · Σ x, or of its squares, or the root of that: in chunks whose number depends
  /// on `count` and the form alone.
  func sum(
    _ x: Buffer, count: Int, squares: Bool, scale: Double, root: Bool, into result: Buffer
  ) throws {
    let chunk = max(4096, roundUp(ceilDivide(count, lanes == 1 ? 256 : 1024), to: 64))
    let chunks = ceilDivide(count, chunk)
    let partials = try launcher.scratch(count: chunks)
    let files = ["ops/reduce.cl"]
    try launcher.launch(
      launcher.kernel("sum_chunks", in: files), global: [lanes * chunks], local: [lanes],
      flops: 2 * Double(count), bytes: 4 * Double(count),
      [
        "x": .buffer(x), "partials": .buffer(partials), "count": .int(count), "chunk": .int(chunk),
        "squares": .int(squares ? 1 : 0),
      ])
    try launcher.launch(
      launcher.kernel("sum_partials", in: files), global: [lanes], local: [lanes],
      flops: Double(chunks),
      bytes: 4 * Double(chunks),
      [
        "partials": .buffer(partials), "result": .buffer(result), "count": .int(chunks),
        "scale": .float(Float(scale)), "root": .int(root ? 1 : 0),
      ])
  }

  /// One launch over all parameters, which clips the gradient too; the host does not read the norm.
  public func optimize(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    learningRate: Double, gradientNorm: Buffer?, maximumNorm: Double?, step: Int
  ) throws {
    try checkOptimizer(
      optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
      gradientNorm: gradientNorm, maximumNorm: maximumNorm, step: step)
    let files = ["ops/optimizer.cl"]
    let items = ceilDivide(count, launcher.parameters.elements)
    let norm = maximumNorm == nil ? nil : gradientNorm
    func float(_ value: Double) -> KernelArgument { .float(Float(value)) }
    switch optimizer {
    case .sgd(let momentum, let weightDecay):
      try launcher.launch(
        launcher.kernel("sgd", in: files), items: items, flops: 6 * Double(count),
        bytes: 4 * Double(count) * (moments.isEmpty ? 3 : 5),
        [
          "parameters": .buffer(parameters), "gradients": .buffer(gradients),
          "velocity": .optional(moments.first), "norm": .optional(norm),
          "maximum_norm": float(maximumNorm ?? 0), "count": .int(count),
          "rate": float(learningRate), "momentum": float(momentum), "decay": float(weightDecay),
        ])
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      try launcher.launch(
        launcher.kernel("adam", in: files), items: items, flops: 16 * Double(count),
        bytes: 28 * Double(count),
        [
          "parameters": .buffer(parameters), "gradients": .buffer(gradients),
          "first_moment": .buffer(moments[0]), "second_moment": .buffer(moments[1]),
          "norm": .optional(norm), "maximum_norm": float(maximumNorm ?? 0), "count": .int(count),
          "rate1": float(learningRate / (1 - pow(beta1, Double(step)))),
          "root2": float((1 - pow(beta2, Double(step))).squareRoot()), "beta1": float(beta1),
          "one_minus_beta1": float(1 - beta1), "beta2": float(beta2),
          "one_minus_beta2": float(1 - beta2), "epsilon": float(epsilon),
          "decay": float(decoupled ? 0 : weightDecay),
          "shrink": float(decoupled ? 1 - learningRate * weightDecay : 1),
        ])
    }
  }
}
