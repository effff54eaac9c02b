import CarouselModel

/// The running statistics of batch normalisation, which every piece of an update moves, in the order of pieces.
///
/// A piece with the statistics s moves r to (1 − m)·r + m·s. It is computed with r = 0, which the pass does not
/// read otherwise, so that m·s is known by itself and any rank may compute it.
final class PieceStatistics<B: Backend> {
  /// Statistics in the model's store.
  private struct Running {
    let buffer: B.Buffer
    let count: Int
    /// 1 − m, what is kept of them at every piece.
    let kept: Double
    /// What pieces of this rank added, one behind the other.
    let added: [B.Buffer]
  }

  private let all: [Running]
  private let pieces: BatchPieces
  private let backend: B
  /// The statistics before the update.
  private var before: [Tensor.Elements] = []
  private var begun = 0

  /// nil where training moves no statistics.
  init?(_ model: GraphModel<B>, _ pieces: BatchPieces) throws {
    (self.pieces, backend) = (pieces, model.backend)
    let graph = model.graph.selecting(outputs: Array(model.graph.outputs.prefix(1)))
    let store = model.fixedParameters
    all = try graph.movedStatistics.sorted { $0.key < $1.key }.map { name, kept in
      let count = graph.parameter(name)?.description.shape.count ?? 0
      let buffer = try store.value(name)
      return Running(
        buffer: buffer, count: count, kept: kept,
        added: try pieces.own.map { _ in try store.backend.makeBuffer(count: count) })
    }
    if all.isEmpty { return nil }
  }

  /// Prepares an update.
  func begin() throws {
    before = try all.map { try backend.readTensor($0.buffer, [$0.count]).elements }
    begun = 0
  }

  /// Queues what has to be before the pass of this rank's next piece.
  func clear() throws {
    for running in all { try backend.fill(running.buffer, count: running.count, with: 0) }
  }

  /// Queues that what the pass left is kept.
  func take() throws {
    for running in all {
      try backend.copy(running.buffer, to: running.added[begun], count: running.count)
    }
    begun += 1
  }

  /// Gives the model the statistics after the first `present` pieces, of all ranks.
  func finish(present: Int) throws {
    for (running, before) in zip(all, before) {
      let own = try running.added.map {
        try backend.readTensor($0, [running.count]).elements
      }
      let counts = [Int](
        repeating: pieces.own.count * running.count, count: pieces.ranks.count)
      let added = try Tensor.Elements(joining: own).gathered(by: pieces.ranks, counts: counts)
      var result = before
      for piece in 0..<present {
        let part = added.slice(piece * running.count..<(piece + 1) * running.count)
        result = result.scaled(by: running.kept).adding(part)
      }
      try backend.write(Tensor([running.count], result), to: running.buffer)
    }
  }
}

extension Graph {
  /// The statistics that training moves, each with what is kept of it when a batch does.
  var movedStatistics: [String: Double] {
    var result: [String: Double] = [:]
    for node in nodes {
      guard case .batchNormalization(_, _, let momentum, false) = node.operation else { continue }
      for name in node.inputs.dropFirst(3).prefix(2).compactMap(\.self)
      where parameter(name)?.isTrained == false {
        result[name, default: 1] *= 1 - momentum
      }
    }
    return result
  }
}

extension Tensor.Elements {
  /// The products with a number, as a device rounds them.
  func scaled(by factor: Double) -> Tensor.Elements {
    switch self {
    case .float32(let values): .float32(values.map { $0 * Float(factor) })
    case .float64(let values): .float64(values.map { $0 * factor })
    }
  }
}
