import CarouselModel

/// What parameters begin as in place of what is drawn for them: whole tensors, or some of their rows.
public struct InitialWeights: Sendable {
  /// The values of parameters, by their names.
  public var tensors: [String: Tensor]
  /// The values of single rows of parameters, by their names and the rows' indices.
  public var rows: [String: [Int: [Double]]]

  /// Gathers values; each tensor has its parameter's shape, each row has as many elements as a row there.
  public init(tensors: [String: Tensor] = [:], rows: [String: [Int: [Double]]] = [:]) {
    self.tensors = tensors
    self.rows = rows
  }

  /// Writes the values to a network's parameters, the others stay.
  func write<B: Backend>(to store: ParameterStore<B>) throws {
    let backend = store.backend
    for description in store.descriptions {
      let name = description.name
      if let tensor = tensors[name] {
        precondition(tensor.shape == description.shape, "\(name) of the shape \(tensor.shape)")
        try backend.write(tensor.values, to: store.value(name))
      } else if let rows = rows[name] {
        var values = try backend.read(store.value(name), count: description.shape.count)
        let width = values.count / description.shape[0]
        for (row, elements) in rows {
          precondition(elements.count == width, "a row of \(elements.count) elements for \(name)")
          values.replaceSubrange(row * width..<(row + 1) * width, with: elements)
        }
        try backend.write(values, to: store.value(name))
      }
    }
  }
}
