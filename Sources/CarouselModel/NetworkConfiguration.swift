/// A network: an embedding where it reads tokens, a stack of recurrent layers, a linear output at every
/// step.
public struct NetworkConfiguration: Hashable, Sendable {
  /// V, the number of tokens; nil where the layers read features `[T, N, C]` as they are.
  public var vocabularySize: Int?
  /// The stack; its `inputSize` is the embedding's width E, or the number of features C.
  public var recurrent: RecurrentConfiguration
  /// O, the outputs of a step: the classes that are told apart, or the values that are predicted.
  public var outputSize: Int

  /// Describes a network that reads tokens and predicts one of them at every step.
  public init(vocabularySize: Int, recurrent: RecurrentConfiguration) {
    self.init(
      vocabularySize: vocabularySize, recurrent: recurrent, outputSize: vocabularySize)
  }

  /// Describes a network.
  public init(vocabularySize: Int?, recurrent: RecurrentConfiguration, outputSize: Int) {
    self.vocabularySize = vocabularySize
    self.recurrent = recurrent
    self.outputSize = outputSize
  }

  /// Throws a usage error where a size makes no sense.
  public func validate() throws(CarouselError) {
    let limit = RecurrentConfiguration.maximumSize
    if let vocabularySize {
      guard vocabularySize > 0 else {
        throw CarouselError(.usage, "the vocabulary must hold at least 1 token, but is empty")
      }
      guard vocabularySize <= limit else {
        throw CarouselError(
          .noDevice,
          "a vocabulary of \(vocabularySize) tokens is more than any device holds, at most \(limit)"
        )
      }
    }
    guard outputSize > 0, outputSize <= limit else {
      throw CarouselError(
        .usage, "the output size must be between 1 and \(limit), but is \(outputSize)")
    }
    try recurrent.validate()
  }

  /// Every parameter: `embedding.weight [V, E]`, `recurrent.…`, `output.weight [O, D·P]`,
  /// `output.bias [O]`; none where `validate()` refuses a size.
  public var parameterDescriptions: [ParameterDescription] {
    let sizes = 1...RecurrentConfiguration.maximumSize
    guard recurrent.hasValidSizes, sizes ~= outputSize, sizes ~= vocabularySize ?? 1 else {
      return []
    }
    let bound = 1 / Double(recurrent.outputSize).squareRoot()
    let embedding = vocabularySize.map {
      ParameterDescription("embedding.weight", [$0, recurrent.inputSize], .normal(1))
    }
    return [embedding].compactMap(\.self)
      + recurrent.parameterDescriptions.map {
        ParameterDescription("recurrent." + $0.name, $0.shape, $0.initializer)
      } + [
        ParameterDescription("output.weight", [outputSize, recurrent.outputSize], .uniform(bound)),
        ParameterDescription("output.bias", [outputSize], .uniform(bound)),
      ]
  }
}

extension NetworkConfiguration {
  /// Throws where an input is not one for T·N = `rows` rows of this network.
  func check(_ input: NetworkInput, rows: Int) throws(CarouselError) {
    switch (input, vocabularySize) {
    case (.tokens(let tokens), .some): try expect(tokens.count, rows, "tokens")
    case (.features(let features), nil):
      try expect(features.count, rows * recurrent.inputSize, "features")
    case (.tokens, nil):
      throw CarouselError(.usage, "the network reads features, but was given tokens")
    case (.features, .some):
      throw CarouselError(.usage, "the network reads tokens, but was given features")
    }
  }

  /// Throws where targets are not those of T·N = `rows` rows of this network.
  func check(_ targets: NetworkTargets, rows: Int) throws(CarouselError) {
    switch targets {
    case .classes(let classes): try expect(classes.count, rows, "targets")
    case .values(let values, let counted):
      guard vocabularySize == nil else {
        throw CarouselError(
          .usage, "a network that reads tokens predicts classes, but its targets are values")
      }
      try expect(values.count, rows * outputSize, "target values")
      try expect(counted.count, rows, "numbers that say which steps count")
    }
  }

  private func expect(_ found: Int, _ expected: Int, _ what: String) throws(CarouselError) {
    guard found == expected else {
      throw CarouselError(.usage, "expected \(expected) \(what), found \(found)")
    }
  }
}

extension NetworkConfiguration: Codable {
  private enum CodingKeys: CodingKey {
    case vocabularySize, recurrent, outputSize
  }

  /// Reads a description; without an output size the outputs are the tokens.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    vocabularySize = try values.decodeIfPresent(Int.self, forKey: .vocabularySize)
    recurrent = try values.decode(RecurrentConfiguration.self, forKey: .recurrent)
    let outputSize = try values.decodeIfPresent(Int.self, forKey: .outputSize) ?? vocabularySize
    guard let outputSize else {
      throw DecodingError.keyNotFound(
        CodingKeys.outputSize,
        .init(codingPath: values.codingPath, debugDescription: "neither tokens nor outputs"))
    }
    self.outputSize = outputSize
  }

  /// Writes the output size only where it is not the number of tokens.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(vocabularySize, forKey: .vocabularySize)
    try values.encode(recurrent, forKey: .recurrent)
    if outputSize != vocabularySize { try values.encode(outputSize, forKey: .outputSize) }
  }
}

/// What a network reads in one pass.
public enum NetworkInput: Sendable, Equatable {
  /// Tokens `[T, N]`, each below V.
  case tokens([Int32])
  /// Features `[T, N, C]`.
  case features([Double])
}

/// What a network has to predict in one pass.
public enum NetworkTargets: Sendable, Equatable {
  /// Classes `[T, N]`, each below O; a step whose class is negative does not count. The loss is the mean
  /// cross-entropy in nats.
  case classes([Int32])
  /// Values `[T, N, O]`, and `[T, N]` ones where a step counts and zeros elsewhere. The loss is the mean
  /// squared error.
  case values([Double], counted: [Int32])

  /// How many steps of sequences count.
  public var count: Int {
    switch self {
    case .classes(let classes): classes.count { $0 >= 0 }
    case .values(_, let counted): counted.count { $0 != 0 }
    }
  }
}
