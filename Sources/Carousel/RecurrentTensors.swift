import CarouselModel

/// The parameters of recurrent layers under their bare names, from which the layers are told.
struct RecurrentTensors {
  private let parameters: [String: Tensor]
  private let hints: RecurrentModel.Hints
  private let source: String

  init(_ parameters: [String: Tensor], hints: RecurrentModel.Hints, source: String) {
    self.parameters = parameters
    self.hints = hints
    self.source = source
  }

  /// The layers that have just these parameters.
  ///
  /// Throws `badData` where there are none, and a usage error where hints are missing.
  var configuration: RecurrentConfiguration {
    get throws(CarouselError) {
      guard let input = parameters["weight_ih_l0"]?.shape, input.rank == 2, input.count > 0 else {
        throw CarouselError(
          .badData, "\(source): expected the tensor 'weight_ih_l0' of two dimensions")
      }
      let (cell, hiddenSize, recurrence) = try recurrent
      var options = CellOptions(recurrence: recurrence)
      options.layerNorm = parameters["weight_ln_ih_l0"] != nil
      options.bias =
        parameters["bias_hh_l0"] != nil
        ? .double : parameters["bias_ih_l0"] != nil ? .single : .none
      if cell == .lstm {
        options.forgetGate = hints.forgetGate
        options.peepholes = parameters["weight_ci_l0"] != nil
        options.projectionSize = try projection.map(\.states)
      }
      let isBidirectional = parameters["weight_hh_l0_reverse"] != nil
      let result = RecurrentConfiguration(
        cell: cell, inputSize: input[1], hiddenSize: hiddenSize,
        layers: (1...).first { parameters["weight_hh_l\($0)"] == nil } ?? 1,
        direction: isBidirectional ? .bidirectional : .forward,
        merge: isBidirectional ? hints.merge : .concatenate, options: options)
      try check(result)
      return result
    }
  }

  /// P and H, where `weight_hr [P, H]` is there.
  private var projection: (states: Int, hiddenSize: Int)? {
    get throws(CarouselError) {
      guard let shape = parameters["weight_hr_l0"]?.shape else { return nil }
      guard shape.rank == 2, shape.count > 0 else {
        throw CarouselError(
          .badData,
          "\(source): the tensor 'weight_hr_l0' has the shape \(shape), expected [P, H]")
      }
      return (shape[0], shape[1])
    }
  }

  private var recurrent: (cell: Cell, hiddenSize: Int, recurrence: Recurrence) {
    get throws(CarouselError) {
      guard let shape = parameters["weight_hh_l0"]?.shape, [1, 2, 4].contains(shape.rank),
        shape.count > 0
      else {
        throw CarouselError(
          .badData,
          "\(source): expected the tensor 'weight_hh_l0' of two dimensions, of one or of four")
      }
      if shape.rank == 4 { return try blocks(shape) }
      let isDense = shape.rank == 2
      let states = isDense ? shape[1] : diagonalSize(rows: shape[0])
      guard let hiddenSize = try projection?.hiddenSize ?? states else {
        throw CarouselError(
          .usage,
          "\(source): the tensor 'weight_hh_l0' has the shape \(shape), a diagonal recurrence that "
            + "does not tell its cell, expected --cell or --hidden-size")
      }
      let found = candidates.first { gateCount($0) * hiddenSize == shape[0] }
      guard let found else {
        throw CarouselError(
          .badData,
          "\(source): the tensor 'weight_hh_l0' has the shape \(shape), expected "
            + candidates.map { "[\(gateCount($0))H\(isDense ? ", H" : "")] for \($0.rawValue)" }
            .joined(separator: " or "))
      }
      return (found, hiddenSize, isDense ? .dense : .diagonal)
    }
  }

  /// Layers whose `weight_hh` is `[G, K, H/K, P/K]`.
  private func blocks(
    _ shape: Shape
  ) throws(CarouselError) -> (cell: Cell, hiddenSize: Int, recurrence: Recurrence) {
    guard let cell = candidates.first(where: { gateCount($0) == shape[0] }) else {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'weight_hh_l0' has the shape \(shape), expected blocks of "
          + candidates.map { "\(gateCount($0)) gates for \($0.rawValue)" }
          .joined(separator: " or "))
    }
    return (cell, shape[1] * shape[2], .blocks(shape[1]))
  }

  /// A forget gate that is not of its own weights, or a projection, makes it an LSTM.
  private var candidates: [Cell] {
    hints.forgetGate == .own && parameters["weight_hr_l0"] == nil ? Cell.allCases : [.lstm]
  }

  private func gateCount(_ cell: Cell) -> Int {
    CellOptions(forgetGate: cell == .lstm ? hints.forgetGate : .own).weightGates(of: cell).count
  }

  private func diagonalSize(rows: Int) -> Int? {
    if let hiddenSize = hints.hiddenSize { return hiddenSize }
    if let peephole = parameters["weight_ci_l0"]?.shape { return peephole.count }
    return (hints.forgetGate == .own ? hints.cell : .lstm).map { rows / gateCount($0) }
  }

  private func check(_ configuration: RecurrentConfiguration) throws(CarouselError) {
    let descriptions = configuration.parameterDescriptions
    let known = Set(descriptions.map(\.name))
    if let unknown = parameters.keys.filter({ !known.contains($0) }).min() {
      let reason =
        if unknown.hasSuffix("_reverse"), configuration.directions == 1 {
          "no tensor 'weight_hh_l0_reverse'"
        } else {
          "expected the tensors of \(configuration.summary)"
        }
      throw CarouselError(.badData, "\(source): found the tensor '\(unknown)', but \(reason)")
    }
    for description in descriptions {
      guard let tensor = parameters[description.name] else {
        throw CarouselError(.badData, "\(source): the tensor '\(description.name)' is missing")
      }
      try tensor.check(description.name, shape: description.shape, source: source)
    }
  }
}
