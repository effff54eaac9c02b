import ArgumentParser

/// `--json`, `--quiet` and `--help-all`.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output.")
  var json = false

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  /// Answered by `Invocation` before anything is parsed.
  @Flag(help: "Show all options in groups, also those that --help leaves out.")
  var helpAll = false
}

/// `--seed`.
struct SeedOptions: ParsableArguments {
  @Option(
    name: .customLong("seed"),
    help: ArgumentHelp(
      "The seed of all random numbers; the same seed on the same device gives the same bits.",
      valueName: "seed"))
  var given: UInt64?

  /// What is taken where none is given.
  static let standard: UInt64 = 1

  /// What was given, or the default.
  var seed: UInt64 { given ?? Self.standard }
}

/// `--prefix`, for commands that read a model's file.
struct PrefixOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Which stack of layers, where the file has several: what its names begin with.",
      valueName: "name"))
  var prefix: String?
}
