import ArgumentParser
import Carousel

/// `carousel profile`: throughput, kernel by kernel, against what the device can do.
struct Profile: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times a pass of recurrent layers, kernel by kernel, against the measured peak.",
    discussion: """
      The wall time is the host's, from an idle device to an idle device; the kernels' times are \
      the device's own, of a second run with profiling. Operations are counted as \
      2·T·N·G·H·(C+H) for a layer and direction forward, three times that with the backward pass. \
      --tune measures the ways of computing these layers for this batch size, and keeps the \
      fastest beside the cached programs for all commands on this device; results may then differ \
      in their last bits from those before.
      """)

  static let basics = [
    "cell", "hidden-size", "input-size", "layers", "sequence-length", "batch-size", "mode", "tune",
    "report", "device", "json", "help-all",
  ]
  static let standard = RecurrentConfiguration(inputSize: 512, hiddenSize: 512)
  static let standardSequenceLength = 25, standardBatchSize = 64
  static var defaults: [String: String] {
    standard.helpDefaults(
      sequenceLength: standardSequenceLength, batchSize: standardBatchSize)
  }

  @OptionGroup var device: DeviceOptions
  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
  @OptionGroup(title: "Layers") var batch: BatchOptions

  @Option(help: "A pass: training (forward and backward) or inference (forward alone).")
  var mode = Mode.training

  @Option(help: ArgumentHelp("The passes that are timed.", valueName: "count"))
  var iterations = 20

  @Option(help: ArgumentHelp("The passes before, not timed.", valueName: "count"))
  var warmup = 3

  @Flag(help: "Measure the ways of computing these layers first, and keep the fastest.")
  var tune = false

  @Option(help: ArgumentHelp("Write a Chrome trace, for Perfetto.", valueName: "file"))
  var trace: String?

  @Option(help: ArgumentHelp("Write a page with a roofline plot.", valueName: "file.html"))
  var report: String?

  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  enum Mode: String, CaseIterable, ExpressibleByArgument {
    case training, inference
  }

  func validate() throws {
    if warmup < 0 { throw ValidationError("--warmup must be at least 0, but is \(warmup)") }
  }

  func run() throws {
    guard !device.isReference else {
      throw CarouselError(
        .usage, "profile times the kernels of an OpenCL device, but --device is reference")
    }
    let profile = try profile()
    let device = try device.select()
    let tuning = tune ? try tuned(profile) : nil
    let (peak, seconds) = try measure(profile)
    let backend = try self.device.makeOpenCLBackend(profiling: true)
    let launches = try profile.launches(on: backend)
    let result = ProfileReport(
      device: device.name, driver: device.driver, peak: peak,
      details: details(profile, precision: backend.precision),
      tuning: tuning,
      wall: .init(seconds: seconds, flops: profile.flops, peak: peak),
      kernels: ProfileReport.Kernel.rows(of: launches, peak: peak))
    if let trace {
      try ChromeTrace(device: device.name, launches: launches).write(to: trace)
    }
    if let report { try result.writeHTML(to: report) }
    if output.json {
      try Output.write(json: result)
    } else {
      try Output.write(text(result, passes: profile.iterations))
    }
  }

  private func profile() throws -> RecurrentProfile {
    let configuration = try recurrent.configuration(defaults: Self.standard)
    let (steps, batchSize, lengths) = try batch.batch(
      steps: Self.standardSequenceLength, batchSize: Self.standardBatchSize)
    try configuration.requireRoom(steps: steps, batchSize: batchSize)
    return RecurrentProfile(
      configuration, steps: steps, batchSize: batchSize, lengths: lengths,
      training: mode == .training,
      iterations: try atLeastOne(iterations, "--iterations"), warmup: warmup, seed: seed.seed)
  }

  /// Measures every choice, keeps the fastest, and returns all of them.
  private func tuned(_ profile: RecurrentProfile) throws -> [ProfileReport.Choice] {
    let backend = try device.makeOpenCLBackend()
    let results = try profile.tune(on: backend)
    let file = try backend.keepTuning(
      profile.configuration.units.map(\.layer), batchSize: profile.batchSize, results[0].choice)
    Output.note(
      file.map { "kept '\(results[0].choice.description)' in \($0)" }
        ?? "nothing is kept, for CAROUSEL_CACHE is off")
    return results.map {
      ProfileReport.Choice(words: $0.choice.description, medianSeconds: $0.medianSeconds)
    }
  }

  /// The peak and the wall times, by a backend of its own that is gone before the next is made.
  private func measure(_ profile: RecurrentProfile) throws -> (ProfileReport.Peak, [Double]) {
    let backend = try device.makeOpenCLBackend()
    let peak = try backend.measurePeak()
    return (
      ProfileReport.Peak(gflops: peak.gflops, gigabytesPerSecond: peak.gigabytesPerSecond),
      try profile.wallSeconds(on: backend)
    )
  }

  private func details(
    _ profile: RecurrentProfile, precision: ProductPrecision
  ) -> [(key: String, value: JSONScalar)] {
    let layers = profile.configuration
    return [
      ("cell", .text(layers.cell.rawValue)), ("mode", .text(mode.rawValue)),
      ("sequenceLength", .integer(profile.steps)), ("batchSize", .integer(profile.batchSize)),
      ("inputSize", .integer(layers.inputSize)), ("hiddenSize", .integer(layers.hiddenSize)),
      ("layers", .integer(layers.layers)), ("direction", .text(layers.direction.rawValue)),
      ("bias", .text(layers.options.bias.rawValue)), ("dropout", .number(layers.dropout)),
    ] + layers.options.departures.map { ($0.key, .text($0.value)) } + [
      (
        "lengths",
        .text(profile.lengths.map { $0.map(String.init).joined(separator: " ") } ?? "all")
      ),
      ("kernels", .text(device.kernels.rawValue)),
      ("precision", .text(precision.rawValue)),
      ("iterations", .integer(profile.iterations)), ("warmup", .integer(profile.warmup)),
      ("flops", .number(profile.flops)),
    ]
  }

  private func text(_ result: ProfileReport, passes: Int) -> String {
    var table = Table(
      ["kernel", "launches", "ms a pass", "share %", "GFLOP/s", "GB/s", "FLOP/byte", "bound by"])
    for kernel in result.kernels {
      table.add([
        kernel.name, "\(kernel.launches)",
        decimal(kernel.totalSeconds / Double(passes) * 1e3, digits: 3),
        decimal(kernel.share * 100), decimal(kernel.gflops), decimal(kernel.gigabytesPerSecond),
        decimal(kernel.arithmeticIntensity), kernel.bound.rawValue,
      ])
    }
    var choices = Table(["way to compute", "ms a pass"])
    for choice in result.tuning ?? [] {
      choices.add([choice.words, decimal(choice.medianSeconds * 1e3, digits: 3)])
    }
    let (peak, wall) = (result.peak, result.wall)
    return (result.tuning == nil ? "" : choices.text + "\n\n") + """
      \(result.device)
      \(result.details.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
      peak  \(decimal(peak.gflops)) GFLOP/s, \(decimal(peak.gigabytesPerSecond)) GB/s, measured
      wall  \(decimal(wall.medianSeconds * 1e3, digits: 3)) ms median, \
      \(decimal(wall.minSeconds * 1e3, digits: 3)) ms at best, \(decimal(wall.gflops)) GFLOP/s, \
      \(decimal(wall.fractionOfPeak * 100))% of the peak

      \(table.text)
      """
  }
}
