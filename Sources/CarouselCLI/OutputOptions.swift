import ArgumentParser

/// `--json`.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output.")
  var json = false
}

/// `--seed`.
struct SeedOptions: ParsableArguments {
  @Option(
    name: .customLong("seed"),
    help: ArgumentHelp(
      "The seed of all random numbers; the same seed on the same device gives the same bits "
        + "(default: 1).",
      valueName: "number"))
  var given: UInt64?

  /// What was given, or the default.
  var seed: UInt64 { given ?? 1 }
}
