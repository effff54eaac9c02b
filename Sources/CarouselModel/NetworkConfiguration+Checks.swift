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
