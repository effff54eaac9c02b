import CarouselModel

/// Something about a case of work that is neither its cell nor a size.
public typealias CaseOption = (key: String, value: String)

extension CellOptions {
  /// What departs from the plain form of a cell, the bias vectors apart.
  public var departures: [CaseOption] {
    var result = CellOption.allCases.compactMap { option in
      option.value(in: self).map { (key: option.rawValue, value: $0) }
    }
    if !activations.isEmpty {
      result.append(("activations", Self.list(activations.mapValues(\.words))))
    }
    if !overrides.isEmpty {
      result.append(("overrides", Self.list(overrides.mapValues { "\($0)" })))
    }
    return result
  }

  private static func list(_ values: [String: String]) -> String {
    values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

extension RecurrentConfiguration {
  /// Everything but the cell and the sizes: direction, bias, dropout, and what else departs from the
  /// plain form.
  public var caseOptions: [CaseOption] {
    [("direction", direction.rawValue)]
      + (directions == 2 ? [("merge", merge.rawValue)] : [])
      + [("bias", options.bias.rawValue), ("dropout", "\(dropout)")] + options.departures
  }

  /// The layers in a few words, for messages.
  public var summary: String {
    let words = options.departures.map { ", \($0.key) \($0.value)" }.joined()
    return
      "\(layers) \(direction == .forward ? "" : direction.rawValue + " ")"
      + "\(layers == 1 ? "layer" : "layers") of \(cell.rawValue) with input size \(inputSize), "
      + "hidden size \(hiddenSize), bias \(options.bias.rawValue)"
      + (merge == .concatenate ? "" : ", merge \(merge.rawValue)") + words
  }
}
