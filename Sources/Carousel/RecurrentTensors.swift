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
      options.bias =
        parameters["bias_hh_l0"] != nil
        ? .double : parameters["bias_ih_l0"] != nil ? .single : .none
      if cell == .lstm {
        options.forgetGate = hints.forgetGate
        options.peepholes = parameters["weight_ci_l0"] != nil
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

  private var recurrent: (cell: Cell, hiddenSize: Int, recurrence: Recurrence) {
    get throws(CarouselError) {
      guard let shape = parameters["weight_hh_l0"]?.shape, 1...2 ~= shape.rank, shape.count > 0
      else {
        throw CarouselError(
          .badData, "\(source): expected the tensor 'weight_hh_l0' of two dimensions, or of one")
      }
      let isDense = shape.rank == 2
      guard let hiddenSize = isDense ? shape[1] : diagonalSize(rows: shape[0]) else {
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

  /// A forget gate that is not of its own weights makes it an LSTM.
  private var candidates: [Cell] { hints.forgetGate == .own ? Cell.allCases : [.lstm] }

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
        if unknown.hasPrefix("weight_hr") {
          "a projection is not supported"
        } else if unknown.hasSuffix("_reverse"), configuration.directions == 1 {
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
