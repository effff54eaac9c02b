import CarouselModel

/// What parameters begin as in place of what is drawn for them: whole tensors, or some of their rows.
public struct InitialWeights: Sendable {
  /// The values of parameters, by their names.
  public var tensors: [String: Tensor]
  /// The values of single rows of parameters, by their names and the rows' indices.
  public var rows: [String: [Int: Tensor]]

  /// Gathers values; each tensor has its parameter's shape, each row has as many elements as a row there.
  public init(tensors: [String: Tensor] = [:], rows: [String: [Int: Tensor]] = [:]) {
    self.tensors = tensors
    self.rows = rows
  }

  /// Writes the values to a network's parameters, the others stay; throws where a shape does not fit.
  func write<B: Backend>(to store: ParameterStore<B>) throws {
    let backend = store.backend
    for description in store.descriptions {
      let name = description.name
      if let tensor = tensors[name] {
        try Self.check(tensor, name, expected: description.shape)
        try backend.write(tensor, to: store.value(name))
      } else if let rows = rows[name] {
        let rowShape = Shape(Array(description.shape.dimensions.dropFirst()))
        for (row, tensor) in rows {
          guard 0..<description.shape[0] ~= row else {
            throw CarouselError(
              .usage, "the parameter '\(name)' \(description.shape) has no row \(row)")
          }
          try Self.check(tensor, "\(name)[\(row)]", expected: rowShape)
        }
        let drawn = try backend.readTensor(store.value(name), description.shape)
        let all = (0..<description.shape[0]).map { rows[$0] ?? drawn.part($0) }
        try backend.write(Tensor(joining: all, as: description.shape), to: store.value(name))
      }
    }
  }
  private static func check(
    _ tensor: Tensor, _ name: String, expected: Shape
  ) throws(CarouselError) {
    guard tensor.shape == expected else {
      throw CarouselError(
        .usage, "the initial '\(name)' has the shape \(tensor.shape), expected \(expected)")
    }
  }
}
