import CarouselModel

/// The work that `carousel compare` does where it is not told of one case.
package enum ComparisonCases {
  /// Every operation and option, several times, over sizes that hurt: 1, odd ones, one past a power of two,
  /// long and wide ones.
  package static var all: [any ComparisonCase] {
    recurrent + scaled + family(sequenceLength: 9, batchSize: 5, inputSize: 19, hiddenSize: 33)
      + inference
      + operations + networks + GraphComparison.all
  }

  /// Every operation at sizes so small that a simulator a thousand times slower than a device ends
  /// in seconds.
  package static var tiny: [any ComparisonCase] {
    [
      stack(1, 1, 1, 1),
      stack(3, 3, 5, 9, layers: 2, bias: .single, dropout: 0.4),
      stack(2, 2, 9, 7, bias: .none, states: false, finalGradients: false),
      stack(3, 2, 3, 5, layers: 2, training: false),
      EmbeddingComparison(count: 7, vocabulary: 3, width: 5),
      LinearComparison(rows: 5, inputSize: 7, outputSize: 3),
      LinearComparison(rows: 3, inputSize: 2, outputSize: 9, bias: false),
      CrossEntropyComparison(rows: 5, classes: 7),
      SquaredErrorComparison(rows: 7, width: 2),
      DropoutComparison(count: 13, probability: 0.3),
      NormComparison(count: 19),
    ] + family(sequenceLength: 3, batchSize: 3, inputSize: 4, hiddenSize: 6) + optimizers(count: 11)
      + [network(.lstm, 3, 3, 3, 7, vocabulary: 5, layers: 2, dropout: 0.3)]
  }

  private static var recurrent: [any ComparisonCase] {
    [
      stack(1, 1, 1, 1),
      stack(7, 3, 5, 1),
      stack(5, 2, 3, 17, layers: 2, dropout: 0.3),
      stack(1, 4, 33, 33, bias: .single),
      stack(20, 1, 17, 127, bias: .none),
      stack(13, 33, 20, 130, states: false),
      stack(10, 65, 16, 64, finalGradients: false),
      stack(6, 130, 40, 31, layers: 2, bias: .none),
      stack(12, 5, 19, 47, layers: 3, dropout: 0.4),
      stack(3, 17, 64, 96, layers: 3, bias: .single, states: false, finalGradients: false),
      stack(50, 32, 20, 128),
      stack(100, 7, 129, 65, layers: 2, bias: .none, dropout: 0.2),
      stack(25, 64, 512, 512),
      stack(100, 8, 128, 512, layers: 2, bias: .none),
      stack(40, 2, 31, 509, layers: 2),
      stack(cell: .rnn, 1, 1, 1, 1),
      stack(cell: .rnn, 50, 32, 20, 128),
      stack(cell: .rnn, 20, 65, 129, 257, layers: 2, bias: .single),
      stack(cell: .gru, 1, 1, 1, 1),
      stack(cell: .gru, 50, 32, 20, 128),
      stack(cell: .gru, 20, 65, 129, 257, layers: 2, bias: .none, dropout: 0.2),
    ]
      + cellsOfTheTable.flatMap { cell in
        [
          stack(cell: cell, 1, 1, 1, 1), stack(cell: cell, 50, 32, 20, 128),
          stack(cell: cell, 20, 65, 129, 257, layers: 2, bias: .none, dropout: 0.2),
        ]
      }
  }

  /// Inputs and states so large that gates are open or closed.
  private static var scaled: [any ComparisonCase] {
    Cell.allCases.flatMap { cell in
      [30, 1e3, 1e6, 1e30].map { stack(cell: cell, 20, 9, 31, 40, layers: 2, scale: $0) }
    }
  }

  private static var inference: [any ComparisonCase] {
    [
      stack(1, 1, 7, 33, training: false),
      stack(cell: .rnn, 17, 3, 20, 65, layers: 2, training: false),
      stack(cell: .gru, 50, 9, 30, 130, training: false),
      stack(50, 32, 20, 128, training: false),
      stack(9, 5, 19, 130, layers: 3, bias: .single, training: false),
      stack(12, 35, 30, 257, layers: 2, bias: .none, states: false, training: false),
    ] + cellsOfTheTable.map { stack(cell: $0, 50, 9, 30, 130, training: false) }
  }

  private static var operations: [any ComparisonCase] {
    [
      EmbeddingComparison(count: 1, vocabulary: 1, width: 1),
      EmbeddingComparison(count: 129, vocabulary: 7, width: 33),
      EmbeddingComparison(count: 1000, vocabulary: 256, width: 64),
      LinearComparison(rows: 1, inputSize: 1, outputSize: 1),
      LinearComparison(rows: 33, inputSize: 17, outputSize: 65),
      LinearComparison(rows: 127, inputSize: 130, outputSize: 31, bias: false),
      LinearComparison(rows: 700, inputSize: 256, outputSize: 63),
      CrossEntropyComparison(rows: 1, classes: 1),
      CrossEntropyComparison(rows: 129, classes: 63),
      CrossEntropyComparison(rows: 33, classes: 1000, inPlace: true),
      SquaredErrorComparison(rows: 1, width: 1),
      SquaredErrorComparison(rows: 1029, width: 3),
      DropoutComparison(count: 1, probability: 0.5),
      DropoutComparison(count: 100_003, probability: 0.3),
      DropoutComparison(count: 1021, probability: 0.9, inPlace: true),
      NormComparison(count: 1),
      NormComparison(count: 1025),
      NormComparison(count: 300_001),
    ] + optimizers(count: 10_007)
  }

  private static var networks: [any ComparisonCase] {
    [
      network(.lstm, 17, 9, 33, 65, vocabulary: 63, layers: 2, dropout: 0.3),
      network(.lstm, 32, 16, 64, 128, vocabulary: 200, layers: 1, dropout: 0),
      network(.rnn, 9, 5, 17, 33, vocabulary: 31, layers: 1, dropout: 0),
      network(.gru, 9, 5, 17, 33, vocabulary: 31, layers: 2, dropout: 0.3),
    ]
      + cellsOfTheTable.map {
        network($0, 9, 5, 17, 33, vocabulary: 31, layers: 2, dropout: 0.3)
      }
  }

  static func optimizers(count: Int) -> [any ComparisonCase] {
    func adam(weightDecay: Double, decoupled: Bool) -> Optimizer {
      .adam(
        beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: weightDecay, decoupled: decoupled)
    }
    return [
      OptimizerComparison(
        name: "sgd", optimizer: .sgd(momentum: 0, weightDecay: 0), count: count),
      OptimizerComparison(
        name: "momentum", optimizer: .sgd(momentum: 0.9, weightDecay: 0.01), count: count,
        maximumNorm: 0.5),
      OptimizerComparison(
        name: "adam", optimizer: adam(weightDecay: 0.01, decoupled: false), count: count,
        maximumNorm: 1e6),
      OptimizerComparison(
        name: "adamw", optimizer: adam(weightDecay: 0.1, decoupled: true), count: count,
        maximumNorm: 1),
    ]
  }

  /// A stack over T steps of N sequences of C features with H units.
  static func stack(
    cell: Cell = .lstm, _ sequenceLength: Int, _ batchSize: Int, _ inputSize: Int,
    _ hiddenSize: Int,
    layers: Int = 1,
    bias: BiasMode = .double, dropout: Double = 0, scale: Double = 1, states: Bool = true,
    finalGradients: Bool = true, training: Bool = true
  ) -> any ComparisonCase {
    RecurrentComparison(
      RecurrentConfiguration(
        cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layers: layers,
        options: CellOptions(bias: bias), dropout: dropout),
      sequenceLength: sequenceLength, batchSize: batchSize, scale: scale, givenStates: states,
      finalGradients: finalGradients,
      training: training)
  }

  /// A network over T steps of N texts with an embedding of C elements and H units.
  static func network(
    _ cell: Cell, _ sequenceLength: Int, _ batchSize: Int, _ inputSize: Int, _ hiddenSize: Int,
    vocabulary: Int, layers: Int, dropout: Double
  ) -> any ComparisonCase {
    NetworkComparison(
      configuration: NetworkConfiguration(
        vocabularySize: vocabulary,
        recurrent: RecurrentConfiguration(
          cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layers: layers,
          dropout: dropout)),
      sequenceLength: sequenceLength, batchSize: batchSize)
  }
}
