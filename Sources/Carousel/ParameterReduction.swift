import CarouselModel

/// A way to make recurrent layers with fewer parameters.
public struct ParameterReduction: Sendable {
  /// The options that ask for it, empty for the standard cell.
  public let options: String
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// The parameters of the layers.
  public var count: Int { configuration.parameterDescriptions.reduce(0) { $0 + $1.shape.count } }

  /// The standard form of `configuration` first, with full weights for every gate, then every way to
  /// make it smaller that its other options allow.
  public static func all(of configuration: RecurrentConfiguration) -> [ParameterReduction] {
    var standard = configuration
    standard.options.recurrence = .dense
    standard.options.forgetGate = .own
    standard.options.projectionSize = nil
    let half = max(standard.hiddenSize / 2, 1)
    let changes: [(String, (inout RecurrentConfiguration) -> Void)] = [
      ("", { _ in }),
      ("--bias single", { $0.options.bias = .single }),
      ("--no-bias", { $0.options.bias = .none }),
      ("--tie input=forget", { $0.options.forgetGate = .input }),
      ("--tie forget=output", { $0.options.forgetGate = .output }),
      ("--couple-input-forget", { $0.options.forgetGate = .coupled }),
      ("--forget-decay 0.9", { $0.options.forgetGate = .constant(0.9) }),
      ("--recurrence diagonal", { $0.options.recurrence = .diagonal }),
      ("--recurrence blocks:2", { $0.options.recurrence = .blocks(2) }),
      ("--recurrence blocks:4", { $0.options.recurrence = .blocks(4) }),
      ("--projection-size \(half)", { $0.options.projectionSize = half }),
      (
        "--couple-input-forget --recurrence diagonal",
        {
          $0.options.forgetGate = .coupled
          $0.options.recurrence = .diagonal
        }
      ),
      (
        "--input-size \(max(standard.inputSize / 2, 1))",
        { $0.inputSize = max($0.inputSize / 2, 1) }
      ),
    ]
    let all = changes.map { change in
      var result = standard
      change.1(&result)
      return ParameterReduction(options: change.0, configuration: result)
    }
    // A bias that is absent cannot be left out, and a cell without a forget gate cannot share it.
    return all.enumerated().filter { index, reduction in
      index == 0
        || reduction.count < all[0].count
          && (try? reduction.configuration.validate()) != nil
    }.map(\.element)
  }
}
