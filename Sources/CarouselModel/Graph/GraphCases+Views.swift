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
