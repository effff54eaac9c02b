/// An option of `CellOptions` by its name there: one row of a table.
///
/// From the row follow what messages and reports say, `config.yaml`, the parameters of kernels, and the cases of
/// `compare` where none is written by hand.
public enum CellOption: String, Sendable, CaseIterable {
  case recurrence, forgetGate, peepholes, cellClip, gruReset, projectionSize, layerNorm, forgetBias
  case recurrentDropout, zoneoutHidden, zoneoutCell, dropConnect

  /// What there is to know of the option beside its equation.
  var row: Row {
    switch self {
    case .recurrence:
      Row("diagonal or block-diagonal recurrence") {
        $0.recurrence == .dense ? nil : $0.recurrence.rawValue
      } sample: {
        $0.recurrence = .diagonal
      }
    case .forgetGate:
      Row("tied, coupled or constant forget gate") {
        $0.forgetGate == .own ? nil : $0.forgetGate.words
      } parameter: {
        "FORGET=\($0.forgetGate.kernelNumber)"
      } sample: {
        $0.forgetGate = .coupled
      }
    case .peepholes: .toggle("peepholes", \.peepholes, parameter: "PEEPHOLES")
    case .cellClip:
      Row("cell clip") {
        $0.cellClip.map { "\($0)" }
      } parameter: {
        $0.cellClip.map { "CLIP=\(Float($0))f" }
      } fault: {
        guard let bound = $0.cellClip, !(bound > 0) else { return nil }
        return "the cell clip must be above 0, but is \(bound)"
      } sample: {
        $0.cellClip = 0.3
      }
    case .gruReset:
      Row("reset gate before the product") {
        $0.gruReset == .after ? nil : $0.gruReset.rawValue
      } parameter: {
        "RESET_BEFORE=\($0.gruReset == .before ? 1 : 0)"
      } sample: {
        $0.gruReset = .before
      }
    case .projectionSize:
      Row("projection") {
        $0.projectionSize.map { "\($0)" }
      } sample: {
        $0.projectionSize = 1
      }
    case .layerNorm: .toggle("layer normalisation", \.layerNorm)
    case .forgetBias:
      Row("forget bias") {
        $0.forgetBias.map { "\($0)" }
      } sample: {
        $0.forgetBias = 1
      }
    case .recurrentDropout: .probability("recurrent dropout", \.recurrentDropout)
    case .zoneoutHidden: .probability("zoneout of the hidden state", \.zoneoutHidden)
    case .zoneoutCell: .probability("zoneout of the cell state", \.zoneoutCell)
    case .dropConnect: .probability("DropConnect", \.dropConnect)
    }
  }

  /// A row of the table.
  struct Row {
    /// The option as messages name it.
    let words: String
    /// Its value as reports have it; nil where the layer is plain.
    let value: (CellOptions) -> String?
    /// `NAME=VALUE` for the `-D` of kernels where the option alone decides it, asked of every layer whose cell has
    /// the option; the others are in `CellVariant`.
    let parameter: (CellOptions) -> String?
    /// What is wrong with a value, in a sentence.
    let fault: (CellOptions) -> String?
    /// Gives the option a value other than the plain one, for a case of `compare`.
    let sample: (inout CellOptions) -> Void
    /// Whether the option is on or off, and its flag takes no value.
    var isToggle = false

    init(
      _ words: String, value: @escaping (CellOptions) -> String?,
      parameter: @escaping (CellOptions) -> String? = { _ in nil },
      fault: @escaping (CellOptions) -> String? = { _ in nil },
      sample: @escaping (inout CellOptions) -> Void
    ) {
      (self.words, self.value, self.parameter) = (words, value, parameter)
      (self.fault, self.sample) = (fault, sample)
    }

    /// An option that is on or off; `parameter` is 1 or 0.
    static func toggle(
      _ words: String, _ path: WritableKeyPath<CellOptions, Bool>, parameter: String? = nil
    ) -> Row {
      var row = Row(words) {
        $0[keyPath: path] ? "true" : nil
      } parameter: { options in
        parameter.map { "\($0)=\(options[keyPath: path] ? 1 : 0)" }
      } sample: {
        $0[keyPath: path] = true
      }
      row.isToggle = true
      return row
    }

    /// A probability, 0 where the option is off.
    static func probability(
      _ words: String, _ path: WritableKeyPath<CellOptions, Double>
    ) -> Row {
      Row(words) {
        $0[keyPath: path] == 0 ? nil : "\($0[keyPath: path])"
      } fault: {
        let value = $0[keyPath: path]
        return value >= 0 && value < 1
          ? nil : "\(words) must be at least 0 and below 1, but is \(value)"
      } sample: {
        $0[keyPath: path] = 0.3
      }
    }
  }
}

extension CellOption {
  /// The option as messages name it.
  public var words: String { row.words }

  /// The option of the command line without its dashes, `cell-clip`; nil where others, or one of another form, say
  /// it.
  package var optionName: String? {
    switch self {
    case .forgetGate, .zoneoutHidden, .zoneoutCell: nil
    default: rawValue.reduce(into: "") { $0 += $1.isUppercase ? "-" + $1.lowercased() : "\($1)" }
    }
  }

  /// Whether the option of the command line takes a value.
  package var takesValue: Bool { optionName != nil && !row.isToggle }

  /// The option's value as reports and the command line have it; nil where a layer is plain.
  package func value(in options: CellOptions) -> String? { row.value(options) }

  /// The option's parameter of the kernels, where it has one.
  package func kernelParameter(in options: CellOptions) -> String? { row.parameter(options) }

  /// Gives the option, in `options`, a value other than the plain one.
  package func setSample(in options: inout CellOptions) { row.sample(&options) }
}

extension CellOptions {
  /// The options by which this departs from the plain form, but for bias vectors, activations and held gates.
  public var used: [CellOption] { CellOption.allCases.filter { $0.value(in: self) != nil } }
}

extension ForgetGate {
  /// Where the gate comes from, in a few words.
  public var words: String {
    switch self {
    case .own: "own"
    case .coupled: "coupled"
    case .input: "tied to input"
    case .output: "tied to output"
    case .constant(let value): "\(value)"
    }
  }

  /// FORGET of `cells/lstm.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .own: 0
    case .coupled: 1
    case .input: 2
    case .output: 3
    case .constant: 4
    }
  }
}
