import CarouselFormats

/// The parameters of a file by the module that they belong to: `lstm.weight_hh_l0` is `weight_hh_l0` of
/// `lstm.`.
///
/// Known beside plain names are those of weight normalisation (`weight_hh_l0_g` and `_v`,
/// `parametrizations.weight_hh_l0.original0` and `1`) and of weight-drop (`weight_hh_l0_raw`).
struct StoredModules {
  /// What a tensor is to a parameter.
  private enum Part {
    case whole, raw, g, v
  }

  private var modules: [String: [String: [Part: String]]] = [:]

  init(_ file: TensorFile) {
    for entry in file.entries {
      guard let (module, parameter, part) = Self.parts(of: entry.name) else { continue }
      modules[module, default: [:]][parameter, default: [:]][part] = entry.name
    }
  }

  private static func parts(of name: String) -> (module: String, parameter: String, part: Part)? {
    let words = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let last = words.last else { return nil }
    if let part: Part = ["original0": .g, "original1": .v][last], words.count >= 3,
      words[words.count - 3] == "parametrizations"
    {
      return (prefix(words.dropLast(3)), String(words[words.count - 2]), part)
    }
    guard last.hasPrefix("weight") || last.hasPrefix("bias") else { return nil }
    let module = prefix(words.dropLast())
    let suffixes: [(String, Part)] = [("_raw", .raw), ("_g", .g), ("_v", .v)]
    for (suffix, part) in suffixes where last.hasSuffix(suffix) {
      return (module, String(last.dropLast(suffix.count)), part)
    }
    return (module, String(last), .whole)
  }

  private static func prefix(_ words: ArraySlice<Substring>) -> String {
    words.map { $0 + "." }.joined()
  }

  private static func parameter(_ parts: [Part: String]) -> StoredParameter? {
    if let raw = parts[.raw] { return .tensor(raw) }
    if let g = parts[.g], let v = parts[.v] { return .weightNorm(g: g, v: v) }
    return parts[.whole].map { .tensor($0) }
  }

  /// The parameter of a module; nil where there is none.
  func parameter(_ name: String, of module: String) -> StoredParameter? {
    modules[module]?[name].flatMap(Self.parameter)
  }

  /// The modules that have a parameter `weight`, without the dot behind them, in order.
  var weighted: [String] {
    modules.keys.filter { parameter("weight", of: $0) != nil && !$0.isEmpty }.sorted()
      .map { String($0.dropLast()) }
  }

  /// The modules that are recurrent stacks, in order.
  ///
  /// Weight-drop keeps `weight_hh_l0_raw` in the module around `module.`, which has all the others.
  var recurrent: [String] {
    modules.keys.filter {
      let parameters = recurrentParameters(of: $0)
      return parameters["weight_ih_l0"] != nil
        || (parameters["weight_hh_l0"] != nil
          && modules[$0 + "module."]?["weight_ih_l0"] == nil)
    }.sorted()
  }

  /// The parameters of a recurrent stack under the names that PyTorch gives those of `nn.LSTM`.
  func recurrentParameters(of module: String) -> [String: StoredParameter] {
    var result: [String: StoredParameter] = [:]
    for (name, parts) in modules[module] ?? [:] {
      guard let bare = recurrentName(name) else { continue }
      result[bare] = Self.parameter(parts)
    }
    if module.hasSuffix("module.") {
      for (name, parts) in modules[String(module.dropLast("module.".count))] ?? [:] {
        if let raw = parts[.raw], let bare = recurrentName(name) { result[bare] = .tensor(raw) }
      }
    }
    return result
  }
}

/// `weight_hh_l0` and its like, as which `weight_hh` of an `nn.LSTMCell` is taken; nil for another name.
private func recurrentName(_ name: String) -> String? {
  guard name.contains("_") else { return nil }
  if ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].contains(name) { return name + "_l0" }
  let layer = name.hasSuffix("_reverse") ? name.dropLast("_reverse".count) : name[...]
  guard let last = layer.lastIndex(where: { !("0"..."9" ~= $0) }) else { return nil }
  let kind = layer[...last]
  guard layer.index(after: last) < layer.endIndex, kind.hasSuffix("_l"),
    kind.dropFirst(kind.hasPrefix("weight_") ? 7 : 5).count > 2,
    kind.utf8.allSatisfy({ UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_") })
  else { return nil }
  return name
}
