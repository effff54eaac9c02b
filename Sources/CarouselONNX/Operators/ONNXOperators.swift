import CarouselModel

/// Builds the nodes of a graph for one node of the file.
typealias OperatorImporter = @Sendable (ONNXImporter, ONNXNode) throws(CarouselError) -> Void

extension ONNXImporter {
  /// The operators that are known, those of other domains with their domain before them.
  static let operators: [String: OperatorImporter] = [
    elementwiseOperators, productOperators, reductionOperators, normalizationOperators,
    recurrentOperators, viewOperators, quantizedOperators, controlOperators,
  ].reduce(into: [:]) { $0.merge($1) { $1 } }

  /// An importer of an operator that has the same inputs and outputs here.
  static func same(_ operation: GraphOperator) -> OperatorImporter {
    { (importer, node) throws(CarouselError) in try importer.emit(operation, for: node) }
  }
}
