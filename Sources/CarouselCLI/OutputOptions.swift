import ArgumentParser

/// `--json`.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output.")
  var json = false
}

/// `--seed`.
struct SeedOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The seed of all random numbers; the same seed on the same device gives the same bits.",
      valueName: "number"))
  var seed: UInt64 = 1
}
