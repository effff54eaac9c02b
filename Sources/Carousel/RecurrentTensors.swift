import CarouselModel

/// The shapes of the parameters of recurrent layers under their bare names, from which the layers are
/// told.
struct RecurrentTensors {
  private let shapes: [String: Shape]
  private let hints: RecurrentModel.Hints
  private let source: String

  init(_ shapes: [String: Shape], hints: RecurrentModel.Hints, source: String) {
    self.shapes = shapes
    self.hints = hints
    self.source = source
  }

  /// The layers that have just these parameters.
  ///
  /// Throws `badData` where there are none, and a usage error where hints are missing.
  var configuration: RecurrentConfiguration {
    get throws(CarouselError) {
      guard let input = shapes["weight_ih_l0"], input.rank == 2, input.count > 0 else {
        throw CarouselError(
          .badData, "\(source): expected the tensor 'weight_ih_l0' of two dimensions")
      }
      // What tells how many layers there are, and which way they go.
      let weight = shapes["weight_hh_l0"] == nil ? "weight_ih" : "weight_hh"
      let (cell, hiddenSize, recurrence) =
        shapes["weight_hh_l0"] == nil ? try withoutRecurrentWeights(input) : try recurrent
      var options = CellOptions(recurrence: recurrence)
      options.layerNorm = shapes["weight_ln_ih_l0"] != nil
      options.bias =
        shapes["bias_hh_l0"] != nil
        ? .double : shapes["bias_ih_l0"] != nil ? .single : .none
      options.forgetGate = hints.forgetGate
      options.peepholes = cell.has(.peepholes) && shapes["weight_ci_l0"] != nil
      options.projectionSize = try projection.map(\.states)
      let isBidirectional = shapes[weight + "_l0_reverse"] != nil
      let result = RecurrentConfiguration(
        cell: cell, inputSize: input[1], hiddenSize: hiddenSize,
        layers: (1...).first { shapes[weight + "_l\($0)"] == nil } ?? 1,
        direction: isBidirectional ? .bidirectional : .forward,
        merge: isBidirectional ? hints.merge : .concatenate, options: options)
      try check(result)
      return result
    }
  }

  /// P and H, where `weight_hr [P, H]` is there.
  private var projection: (states: Int, hiddenSize: Int)? {
    get throws(CarouselError) {
      guard let shape = shapes["weight_hr_l0"] else { return nil }
      guard shape.rank == 2, shape.count > 0 else {
        throw CarouselError(
          .badData,
          "\(source): the tensor 'weight_hr_l0' has the shape \(shape), expected [P, H]")
      }
      return (shape[0], shape[1])
    }
  }

  /// Layers whose only weights are those of their inputs.
  private func withoutRecurrentWeights(
    _ shape: Shape
  ) throws(CarouselError) -> (cell: Cell, hiddenSize: Int, recurrence: Recurrence) {
    let found = candidates.first { shape[0].isMultiple(of: gateCount($0)) }
    guard let found, shapes["bias_hh_l0"] == nil else {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'weight_hh_l0' is missing"
          + candidates.map {
            ", which the \($0.rawValue) cell has not, with 'weight_ih_l0' of \(gateCount($0))H rows and no "
              + "'bias_hh_l0'"
          }.joined())
    }
    return (found, shape[0] / gateCount(found), .dense)
  }

  private var recurrent: (cell: Cell, hiddenSize: Int, recurrence: Recurrence) {
    get throws(CarouselError) {
      guard let shape = shapes["weight_hh_l0"], [1, 2, 4].contains(shape.rank),
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
      let found = candidates.first {
        shape[0].isMultiple(of: gateCount($0)) && shape[0] / gateCount($0) == hiddenSize
      }
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

  /// The cells that have such tensors: the one that was asked for, then those of the table in order.
  ///
  /// Of two cells with as many gates the tensors do not tell which it is.
  private var candidates: [Cell] {
    let cells = ([hints.cell].compactMap(\.self) + Cell.allCases).filter { cell in
      cell.traits.hasRecurrentWeights == (shapes["weight_hh_l0"] != nil)
        && (hints.forgetGate == .own || cell.has(.forgetGate))
        && (shapes["weight_hr_l0"] == nil || cell.has(.projectionSize))
    }
    return cells.enumerated().filter { !cells[..<$0.offset].contains($0.element) }.map(\.element)
  }

  private func gateCount(_ cell: Cell) -> Int {
    CellOptions(forgetGate: hints.forgetGate).weightGates(of: cell).count
  }

  private func diagonalSize(rows: Int) -> Int? {
    if let hiddenSize = hints.hiddenSize { return hiddenSize }
    if let peephole = shapes["weight_ci_l0"] { return peephole.count }
    let cell = hints.cell ?? (candidates.count == 1 ? candidates[0] : nil)
    return cell.map { rows / gateCount($0) }
  }

  private func check(_ configuration: RecurrentConfiguration) throws(CarouselError) {
    do {
      try configuration.validate()
    } catch {
      throw CarouselError(
        .badData, "\(source): the tensors describe layers that cannot be: \(error.message)")
    }
    let descriptions = configuration.parameterDescriptions
    let known = Set(descriptions.map(\.name))
    if let unknown = shapes.keys.filter({ !known.contains($0) }).min() {
      let reason =
        if unknown.hasSuffix("_reverse"), configuration.directions == 1 {
          "no tensor 'weight_hh_l0_reverse'"
        } else {
          "expected the tensors of \(configuration.summary)"
        }
      throw CarouselError(.badData, "\(source): found the tensor '\(unknown)', but \(reason)")
    }
    for description in descriptions {
      guard let shape = shapes[description.name] else {
        throw CarouselError(.badData, "\(source): the tensor '\(description.name)' is missing")
      }
      try shape.check(description.name, expected: description.shape, source: source)
    }
  }
}
