import Carousel

extension TrainRunOptions {
  /// What `--from` names.
  func startingWeights(_ recurrent: RecurrentOptions) throws -> StartingWeights? {
    try from.map { try StartingWeights(contentsOf: $0, prefix: prefix, hints: recurrent.hints) }
  }
}

extension StartingWeights {
  /// The layers to begin with where the options say nothing else: the file's, or, of another cell, layers
  /// of the file's sizes.
  func layers(cell: Cell?, defaults: RecurrentConfiguration) -> RecurrentConfiguration {
    var found = model.configuration
    // Layers that the file lacks begin as those of any other run.
    found.options.forgetBias = found.options.forgetBias ?? defaults.options.forgetBias
    guard let cell, cell != found.cell else { return found }
    var result = defaults
    (result.inputSize, result.hiddenSize) = (found.inputSize, found.hiddenSize)
    (result.layers, result.direction, result.merge) = (found.layers, found.direction, found.merge)
    return result
  }

  /// The weights for a network; says what matches, and names what does not.
  func weights(
    for network: NetworkConfiguration, vocabulary: ByteVocabulary?, isQuiet: Bool
  ) throws -> InitialWeights {
    let match = try match(network, vocabulary: vocabulary)
    func note(_ text: String) { Output.note("carousel: \(model.source): \(text)") }
    if !isQuiet {
      note(
        "\(match.taken.count) of \(network.parameterDescriptions.count) parameters begin with its values"
      )
    }
    if !match.partly.isEmpty {
      note(
        "rows of bytes that it knows begin with its values, the others are drawn: "
          + list(match.partly.map { "\($0.name) \($0.rows) of \($0.all)" }))
    }
    if !match.missing.isEmpty { note("missing, so drawn: \(list(match.missing))") }
    if !match.reshaped.isEmpty {
      note(
        "of another shape, so drawn: "
          + list(match.reshaped.map { "\($0.name) \($0.shape), there \($0.found)" }))
    }
    if !match.unused.isEmpty { note("not used: \(list(match.unused))") }
    return match.weights
  }

  /// Names in a line that can be read.
  private func list(_ names: [String]) -> String {
    names.prefix(8).joined(separator: ", ")
      + (names.count > 8 ? " and \(names.count - 8) more" : "")
  }
}
