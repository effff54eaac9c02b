extension GraphCase {
  /// Every operator, over shapes that hurt.
  package static var all: [GraphCase] {
    functions + products + convolutions + reductions + normalizations + time + views + losses
  }

  private static var functions: [GraphCase] {
    let unary: [UnaryFunction] = [
      .identity, .absolute, .negate, .sign, .floor, .ceiling, .round, .exponential, .sine, .cosine,
      .errorFunction, .sigmoid, .tanh, .relu, .leakyRelu(alpha: 0.1), .thresholdedRelu(alpha: 0.3),
      .elu(alpha: 0.7), .selu(alpha: 1.6, gamma: 1.05), .hardSigmoid(alpha: 0.3, beta: 0.4),
      .softplus, .softsign, .silu, .gelu, .affine(scale: -0.5, shift: 2),
    ]
    let positiveOnly: [UnaryFunction] = [.logarithm, .squareRoot, .reciprocal]
    let binary = BinaryFunction.allCases
    let needsPositive: Set<BinaryFunction> = [.divide, .modulo, .remainder]
    return unary.enumerated().map {
      GraphCase("\($1)", .unary($1), [draw([3, 1, 17], stream: $0)])
    }
      + positiveOnly.map { GraphCase("\($0)", .unary($0), [positive([5, 7], stream: 1)]) }
      + binary.map { function in
        let isPower = function == .power
        return GraphCase(
          function.rawValue, .binary(function),
          [
            isPower ? positive([2, 3, 1], stream: 12) : draw([2, 3, 1], stream: 12),
            needsPositive.contains(function)
              ? positive([3, 19], stream: 13) : draw([3, 19], stream: 13),
          ])
      }
      + [
        GraphCase(
          "add of a scalar", .binary(.add), [draw([4, 33], stream: 4), draw([], stream: 5)]),
        GraphCase(
          "clip", .clip,
          [draw([40], stream: 6), GraphTensor(scalar: -0.5), GraphTensor(scalar: 0.7)],
          constants: [1, 2]),
        GraphCase(
          "select", .select,
          [
            GraphTensor(Tensor([3, 1], [1, 0, 1]), type: .bool), draw([3, 5], stream: 7),
            draw([5], stream: 8),
          ]),
      ]
  }

  private static var products: [GraphCase] {
    [
      GraphCase(
        "linear", .linear,
        [draw([2, 3, 5], stream: 1), draw([7, 5], stream: 2), draw([7], stream: 3)]),
      GraphCase("matmul", .matMul, [draw([3, 5], stream: 1), draw([5, 7], stream: 2)]),
      GraphCase("matmul of vectors", .matMul, [draw([5], stream: 1), draw([5], stream: 2)]),
      GraphCase(
        "matmul of a batch", .matMul, [draw([2, 3, 4, 5], stream: 1), draw([3, 5, 6], stream: 2)]),
      GraphCase("matmul by one", .matMul, [draw([4, 5], stream: 1), draw([3, 5, 6], stream: 2)]),
      GraphCase(
        "matmul large", .matMul, [draw([40, 65], stream: 1), draw([65, 70], stream: 2)],
        isLarge: true),
      GraphCase(
        "gemm", .gemm(alpha: 0.5, beta: 2, transposesA: true, transposesB: false),
        [draw([5, 3], stream: 1), draw([5, 4], stream: 2), draw([4], stream: 3)]),
      GraphCase(
        "gemm like linear", .gemm(alpha: 1, beta: 1, transposesA: false, transposesB: true),
        [draw([3, 5], stream: 1), draw([4, 5], stream: 2), draw([4], stream: 3)]),
      GraphCase(
        "einsum", .einsum("btgi,gih->btgh"),
        [draw([2, 3, 4, 5], stream: 1), draw([4, 5, 6], stream: 2)]),
      GraphCase("einsum of one", .einsum("ijk->ki"), [draw([2, 3, 4], stream: 1)]),
    ]
  }

  private static var convolutions: [GraphCase] {
    func window(
      _ strides: [Int], _ padding: [Int], dilations: [Int]? = nil, groups: Int = 1,
      outputPadding: [Int]? = nil
    ) -> Convolution {
      Convolution(
        strides: strides, dilations: dilations,
        padding: .explicit(before: padding, after: padding), groups: groups,
        outputPadding: outputPadding)
    }
    let pool = Convolution(
      kernel: [3, 2], strides: [2, 1], padding: .explicit(before: [1, 0], after: [1, 0]))
    return [
      GraphCase(
        "convolution of a sequence", .convolution(window([2], [1], dilations: [2])),
        [draw([2, 3, 11], stream: 1), draw([4, 3, 3], stream: 2), draw([4], stream: 3)]),
      GraphCase(
        "convolution of one element", .convolution(window([1], [0])),
        [draw([2, 3, 5], stream: 1), draw([4, 3, 1], stream: 2), nil]),
      GraphCase(
        "convolution of an image", .convolution(window([2, 1], [1, 2], groups: 2)),
        [draw([2, 4, 7, 5], stream: 1), draw([6, 2, 3, 3], stream: 2), draw([6], stream: 3)]),
      GraphCase(
        "convolution of each channel",
        .convolution(Convolution(strides: [1, 2], padding: .sameUpper, groups: 3)),
        [draw([1, 3, 4, 6], stream: 1), draw([3, 1, 2, 3], stream: 2), nil]),
      GraphCase(
        "convolution, large", .convolution(window([1, 1], [1, 1])),
        [draw([1, 8, 16, 17], stream: 1), draw([16, 8, 3, 3], stream: 2), draw([16], stream: 3)],
        isLarge: true),
      GraphCase(
        "transposed convolution of a sequence",
        .convolutionTransposed(window([3], [1], outputPadding: [1])),
        [draw([2, 3, 4], stream: 1), draw([3, 5, 4], stream: 2), draw([5], stream: 3)]),
      GraphCase(
        "transposed convolution of an image",
        .convolutionTransposed(window([2, 1], [0, 1], groups: 2)),
        [draw([1, 4, 3, 3], stream: 1), draw([4, 2, 3, 3], stream: 2), nil]),
      GraphCase("maximum pool", .maximumPool(pool), [draw([2, 2, 7, 5], stream: 1)]),
      GraphCase(
        "average pool", .averagePool(pool, countsPadding: false), [draw([2, 2, 7, 5], stream: 1)]),
      GraphCase(
        "average pool with padding", .averagePool(pool, countsPadding: true),
        [draw([1, 2, 7, 5], stream: 1)]),
    ]
  }

  private static var reductions: [GraphCase] {
    let shapes: [(String, [Int]?)] = [
      ("all", nil), ("first", [0]), ("last", [-1]), ("outer", [0, 2]),
    ]
    return ReduceFunction.allCases.flatMap { function in
      shapes.map { name, axes in
        GraphCase(
          "\(function.rawValue) over \(name)",
          .reduce(function, axes: axes, keepsDimensions: axes == [0]),
          [function == .logSum ? positive([3, 2, 19], stream: 1) : draw([3, 2, 19], stream: 1)])
      }
    }
      + [
        GraphCase(
          "long sums", .reduce(.sum, axes: [0], keepsDimensions: false),
          [draw([9000, 3], stream: 1)], given: [], wanted: []),
        GraphCase(
          "a long norm", .reduce(.euclideanNorm, axes: nil, keepsDimensions: false),
          [draw([20011], stream: 1)], given: [], wanted: []),
        GraphCase(
          "argument", .argument(isLargest: true, axis: 1, keepsDimensions: false, takesLast: false),
          [draw([3, 19], stream: 1)], given: [], wanted: []),
        GraphCase("softmax", .softmax(axis: -1), [draw([3, 33], stream: 1, deviation: 3)]),
        GraphCase("softmax over time", .softmax(axis: 0), [draw([5, 3, 2], stream: 1)]),
        GraphCase("logarithm of softmax", .logSoftmax(axis: 1), [draw([2, 17, 3], stream: 1)]),
        GraphCase(
          "cumulative sum", .cumulativeSum(axis: 1, isExclusive: true, isReverse: true),
          [draw([2, 5, 3], stream: 1)]),
      ]
  }

  private static var normalizations: [GraphCase] {
    func batch(_ axis: Int, isFrozen: Bool) -> GraphOperator {
      .batchNormalization(axis: axis, epsilon: 1e-3, momentum: 0.1, isFrozen: isFrozen)
    }
    return [
      GraphCase(
        "layer normalisation", .layerNormalization(axis: -1, epsilon: 1e-5),
        [draw([3, 2, 19], stream: 1), draw([19], stream: 2), draw([19], stream: 3)], outputs: 3),
      GraphCase(
        "layer normalisation of two axes", .layerNormalization(axis: 1, epsilon: 1e-5),
        [draw([3, 4, 5], stream: 1), draw([4, 5], stream: 2), nil]),
      GraphCase(
        "group normalisation", .groupNormalization(groups: 2, epsilon: 1e-5),
        [draw([3, 4, 5], stream: 1), draw([4], stream: 2), draw([4], stream: 3)]),
      GraphCase(
        "instance normalisation", .groupNormalization(groups: nil, epsilon: 1e-5),
        [draw([2, 3, 4, 5], stream: 1), draw([3], stream: 2), draw([3], stream: 3)]),
      GraphCase(
        "batch normalisation", batch(1, isFrozen: false),
        [
          draw([3, 4, 5], stream: 1), draw([4], stream: 2), draw([4], stream: 3),
          draw([4], stream: 4), positive([4], stream: 5),
        ], wanted: [0, 1, 2]),
      GraphCase(
        "batch normalisation with lengths", batch(2, isFrozen: false),
        [
          draw([4, 3, 5], stream: 1), draw([5], stream: 2), draw([5], stream: 3),
          draw([5], stream: 4), positive([5], stream: 5), whole([4, 0, 2]),
        ], wanted: [0, 1, 2]),
      GraphCase(
        "batch normalisation, frozen", batch(1, isFrozen: true),
        [
          draw([3, 4, 5], stream: 1), draw([4], stream: 2), draw([4], stream: 3),
          draw([4], stream: 4), positive([4], stream: 5),
        ]),
      GraphCase("dropout", .dropout(probability: 0.3), [draw([7, 11], stream: 1)]),
    ]
  }

  private static var time: [GraphCase] {
    let lengths = whole([4, 0, 2])
    func stack(_ cell: Cell, _ direction: Direction, layers: Int = 2) -> GraphOperator {
      .recurrent(
        RecurrentOperator(
          RecurrentConfiguration(
            cell: cell, inputSize: 3, hiddenSize: 3, layers: layers, direction: direction),
          prefix: "stack."))
    }
    return TimePooling.allCases.map { pooling in
      GraphCase(
        "\(pooling.rawValue) over time", .timePool(pooling),
        [draw([4, 3, 5], stream: 1), lengths, pooling == .attention ? draw([5], stream: 2) : nil])
    }
      + [
        GraphCase(
          "reversed sequences", .reverseSequence(timeAxis: 0, batchAxis: 1),
          [draw([4, 3, 2], stream: 1), lengths]),
        GraphCase(
          "an LSTM with lengths and states", stack(.lstm, .bidirectional, layers: 1),
          [
            draw([4, 3, 3], stream: 1), lengths, draw([2, 3, 3], stream: 2),
            draw([2, 3, 3], stream: 3),
          ], outputs: 3, given: [0, 1, 2]),
        GraphCase(
          "a GRU", stack(.gru, .reverse), [draw([4, 3, 3], stream: 1)], outputs: 2, given: [0]),
        GraphCase(
          "the last state of an RNN", stack(.rnn, .forward), [draw([4, 3, 3], stream: 1)],
          outputs: 2, given: [1]),
        sharedLayers,
      ]
  }
}

extension GraphCase {
  static var views: [GraphCase] {
    let x = draw([2, 3, 5], stream: 1)
    func list(_ values: [Int]) -> GraphTensor { whole(values) }
    return [
      GraphCase("transpose", .transpose([2, 0, 1]), [x]),
      GraphCase("transpose of all", .transpose(nil), [x]),
      GraphCase("reshape", .reshape(allowsZero: false), [x, list([0, -1])], constants: [1]),
      GraphCase("flatten", .flatten(axis: 1), [x]),
      GraphCase("squeeze", .squeeze(axes: [1]), [draw([2, 1, 3], stream: 1)]),
      GraphCase("unsqueeze", .unsqueeze(axes: [0, -1]), [x]),
      GraphCase(
        "slice", .slice, [x, list([1, -1]), list([3, -5]), list([1, 2]), list([1, -2])],
        constants: [1, 2, 3, 4]),
      GraphCase(
        "split", .split(axis: 2), [x, list([2, 3])], constants: [1], outputs: 2, given: [0, 1]),
      GraphCase("concatenate", .concatenate(axis: 1), [x, draw([2, 1, 5], stream: 2)]),
      GraphCase("expand", .expand, [draw([3, 1], stream: 1), list([2, 3, 4])], constants: [1]),
      GraphCase("tile", .tile, [x, list([2, 1, 3])], constants: [1]),
      GraphCase(
        "pad", .pad(.constant), [x, list([0, 1, -1, 2, 0, 3]), GraphTensor(scalar: 0.5)],
        constants: [1, 2]),
      GraphCase(
        "pad by reflection", .pad(.reflect), [x, list([0, 0, 2, 0, 2, 3])], constants: [1]),
      GraphCase("pad by the edge", .pad(.edge), [x, list([1, 0, 2, 0, 0, 1])], constants: [1]),
      GraphCase("pad by wrapping", .pad(.wrap), [x, list([0, 0, 2, 0, 0, 1])], constants: [1]),
      GraphCase("gather", .gather(axis: 1), [x, whole([2, 0, -1, 2], [2, 2])]),
      GraphCase(
        "gather of rows", .gather(axis: 0),
        [draw([5, 17], stream: 1), whole([1, -1, 1], [3, 1])]),
      GraphCase("embedding", .embedding, [draw([5, 17], stream: 1), whole([1, 4, 1], [3, 1])]),
      GraphCase(
        "gather of elements", .gatherElements(axis: 1),
        [draw([2, 3], stream: 1), whole([2, 2, 0, -1], [2, 2])]),
      GraphCase(
        "triangle", .triangle(isUpper: true), [draw([2, 4, 5], stream: 1), list([1])],
        constants: [1]),
    ]
  }

  static var losses: [GraphCase] {
    let classes = whole([2, -1, 0, 1])
    return [
      GraphCase(
        "cross-entropy", .loss(.crossEntropy(smoothing: 0.1)),
        [draw([2, 2, 3], stream: 1), classes, GraphTensor(Tensor([3], [0.5, 1, 2]))],
        constants: [2], wanted: [0]),
      GraphCase(
        "cross-entropy of classes alike", .loss(.crossEntropy(smoothing: 0)),
        [draw([2, 2, 3], stream: 1), classes], wanted: [0]),
      GraphCase(
        "quantiles", .loss(.regression(.quantile([0.1, 0.9]))),
        [draw([3, 4], stream: 1), draw([3, 2], stream: 2), whole([1, 0, 1])], wanted: [0]),
      GraphCase(
        "a Gaussian", .loss(.regression(.gaussian)),
        [draw([3, 2], stream: 1), draw([3, 1], stream: 2)], wanted: [0]),
      GraphCase(
        "a Gaussian within bounds", .loss(.regression(.boundedGaussian(bound: 0.5))),
        [draw([3, 2], stream: 1), draw([3, 1], stream: 2)], wanted: [0]),
      GraphCase(
        "CTC", .loss(.ctc(blank: 0)),
        [
          draw([6, 2, 4], stream: 1), whole([1, 1, 2, 3, 0, 0], [2, 3]), whole([6, 4]),
          whole([3, 1]),
        ], wanted: [0]),
    ]
  }
}
