extension CellOptions {
  /// Throws a usage error where the options make no sense for `cell`, or not together.
  public func validate(for cell: Cell) throws(CarouselError) {
    for name in overrides.keys.sorted() where try cell.overridableGate(name) != name {
      throw CarouselError(.usage, "overrides take the gates' full names, but one is '\(name)'")
    }
    for (name, value) in overrides where !value.isFinite {
      throw CarouselError(.usage, "the \(name) gate cannot be held at \(value)")
    }
    for (name, activation) in activations.sorted(by: { $0.key < $1.key }) {
      guard try cell.activation(named: name) == name else {
        throw CarouselError(
          .usage, "activations take the gates' full names, but one is '\(name)'")
      }
      try activation.validate(gate: name)
    }
    if let fault = CellOption.allCases.lazy.compactMap({ $0.row.fault(self) }).first {
      throw CarouselError(.usage, fault)
    }
    if let option = used.first(where: { !cell.has($0) }) {
      let cells = Cell.allCases.filter { $0.has(option) }.map(\.rawValue)
      throw CarouselError(
        .usage,
        "the \(cell.rawValue) cell has no \(option.words): such options belong to the "
          + "\(Self.list(cells)) \(cells.count == 1 ? "cell" : "cells")")
    }
    if let forgetBias {
      guard forgetBias.isFinite, hasForgetBias(in: cell) else {
        throw CarouselError(
          .usage,
          "the forget bias \(forgetBias) needs a forget gate with weights and a bias of its own, and "
            + "must be finite")
      }
    }
    if case .constant(let value) = forgetGate, !value.isFinite {
      throw CarouselError(.usage, "the forget gate cannot be held at \(value)")
    }
    if forgetGate == .output, peepholes {
      throw CarouselError(
        .usage,
        "a forget gate tied to the output gate cannot have peepholes: the output gate looks at the "
          + "cell state that the forget gate has yet to make")
    }
    if let function = activations["forget"]?.function, forgetGate.hasNoActivation {
      throw CarouselError(
        .usage,
        "a coupled or constant forget gate applies no activation, but \(function.rawValue) was asked for"
      )
    }
    let shared = forgetGate == .input ? "input" : forgetGate == .output ? "output" : nil
    if let shared, let own = activations["forget"], own != activation(of: shared, in: cell) {
      throw CarouselError(
        .usage, "a forget gate tied to the \(shared) gate cannot have another activation")
    }
  }

  /// `rnn, lstm and gru`.
  private static func list(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " and " + last
  }

  /// Throws a usage error where the options make no sense for layers of H units.
  func validate(hiddenSize: Int) throws(CarouselError) {
    if let projectionSize, !(1..<max(hiddenSize, 1) ~= projectionSize) {
      throw CarouselError(
        .usage,
        "the projection size must be at least 1 and below the hidden size \(hiddenSize), but is "
          + "\(projectionSize)")
    }
    switch recurrence {
    case .dense: break
    case .absent:
      throw CarouselError(.usage, "the recurrence is dense, diagonal or blocks:K, not absent")
    case .diagonal:
      if projectionSize != nil {
        throw CarouselError(
          .usage,
          "a diagonal recurrence joins each unit with its own state, but a projection leaves fewer "
            + "states than units")
      }
    case .blocks(let count):
      let states = projectionSize ?? hiddenSize
      guard count >= 1, hiddenSize % count == 0, states % count == 0 else {
        throw CarouselError(
          .usage,
          "the blocks of a recurrence must divide the hidden size \(hiddenSize)"
            + (projectionSize.map { " and the projection size \($0)" } ?? "")
            + ", but they are \(count)")
      }
    }
  }
}
