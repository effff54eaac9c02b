import ArgumentParser
import Carousel
import Foundation

/// `carousel profile`: throughput, kernel by kernel, against what the device can do.
struct Profile: SideBySideCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times a pass of recurrent layers, kernel by kernel, against the measured peak.",
    discussion: """
      All times are those of one pass: a pass by the host's clock, from an idle device to an idle \
      device, and in the median pass each kernel by the device's, all its launches together; so \
      the kernels take no longer than the pass. With --json that is totalSeconds.

      The peak is measured before, between and after the passes: multiply-adds from registers, \
      and a copy through memory. The largest measurement counts. A kernel is bound by compute or \
      by memory where it reaches half of that peak or more, and else by latency.

      The rate counts the operations that the layers need. The nominal count, gflops of the wall \
      with --json, is 2·T·N·G·H·(C+H) for a layer and direction forward and three times that with \
      the backward pass, T·N being the steps that the sequences have; a diagonal recurrence, \
      blocks or a projection need fewer, as does the first step, whose state is zero.

      --tune measures the ways of computing these layers for this batch size, then the fastest \
      and the rules alternately, and keeps it for all commands on this device where it wins by \
      more than the noise; results may then differ in their last bits from those before.

      --plan prints how the layers would be computed, with the reason for each choice.

      MODEL is any file that run takes. Of an ONNX model each operator is timed too; its inputs are \
      drawn, or those of --inputs, and its operations are counted kernel by kernel. Of a file of layers \
      the layers are timed.

      \(ValueList.help)
      """)

  static let basics = [
    "cell", "hidden-size", "input-size", "layers", "sequence-length", "batch-size", "mode", "plan",
    "tune", "report", "device", "json", "help-all",
  ]
  static let standard = RecurrentConfiguration(inputSize: 512, hiddenSize: 512)
  static let standardSequenceLength = 25, standardBatchSize = 64
  static var defaults: [String: String] {
    standard.helpDefaults(
      sequenceLength: standardSequenceLength, batchSize: standardBatchSize)
  }

  @Argument(
    help: "A .onnx model, a .safetensors or .pt file with parameters, or a run's folder.")
  var model: String?

  @OptionGroup var given: GraphInputOptions
  @OptionGroup var prefix: PrefixOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup(title: "Layers") var recurrent: RecurrentOptions
  @OptionGroup(title: "Layers") var batch: BatchOptions

  @Option(help: "A pass: training (forward and backward) or inference (forward alone).")
  var mode = Mode.training

  @Option(help: ArgumentHelp("The passes that are timed.", valueName: "count"))
  var iterations = 20

  @Option(help: ArgumentHelp("The passes before, not timed.", valueName: "count"))
  var warmup = 3

  @Flag(help: "Do not record each kernel, which takes some devices time: the wall alone.")
  var wallOnly = false

  @Flag(help: "Print how the layers are computed and why, and measure nothing.")
  var plan = false

  @Flag(help: "Measure the ways of computing these layers first, and keep one that wins.")
  var tune = false

  @Flag(help: "Print what --tune has kept for this device, and measure nothing.")
  var show = false

  @Flag(help: "Forget what --tune has kept for this device, and measure nothing.")
  var forget = false

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
    if model == nil, !given.isEmpty || prefix.prefix != nil {
      throw ValidationError(
        "--inputs, --shape, --value and --prefix are for a MODEL, but none was given")
    }
    if warmup < 0 { throw ValidationError("--warmup must be at least 0, but is \(warmup)") }
    if show && forget { throw ValidationError("--show and --forget cannot be given together") }
    if plan, tune || show || forget || trace != nil || report != nil {
      throw ValidationError(
        "--plan measures nothing, and cannot be given with --tune, --show, --forget, --trace or --report"
      )
    }
    if wallOnly, trace != nil {
      throw ValidationError("--trace records each kernel, which --wall-only leaves out")
    }
  }

  func run() throws {
    if show || forget {
      try requireDevice()
      return try showKept()
    }
    if plan { return try write(plan: plans()) }
    let (result, measurement, device) = try measured()
    try write(result, measurement, device: device)
  }

  static func run(_ commands: [Profile], _ list: ValueList) throws {
    let first = commands[0]
    try list.refuse([
      ("--tune", first.tune), ("--show", first.show), ("--forget", first.forget),
      ("--trace", first.trace != nil), ("--report", first.report != nil),
    ])
    let cells = commands.compactMap(\.recurrent.cell)
    if first.plan {
      let plans = try commands.map { try $0.plans(among: cells) }
      return try first.output.json
        ? Output.write(json: list.document(plans))
        : Output.write(
          plans.enumerated().map { "\(list.name($0)): \($1.text)" }.joined(separator: "\n\n"))
    }
    let reports = try commands.map { try $0.measured(among: cells).report }
    try first.output.json
      ? Output.write(json: list.document(reports))
      : Output.write(ProfileReport.text(reports, list))
  }

  private func requireDevice() throws {
    guard !device.isReference else {
      throw CarouselError(
        .usage, "profile times the kernels of an OpenCL device, but --device is reference")
    }
  }

  /// What was measured, of a model's operators or of layers.
  private func measured(
    among cells: [Cell] = []
  ) throws -> (report: ProfileReport, measurement: ProfileMeasurement, device: Device) {
    try requireDevice()
    if let path = model.flatMap({ ONNXModel.path(at: $0) }) { return try profileONNX(path) }
    let profile = try profile(among: cells)
    let tuning = tune ? try tuned(profile) : nil
    let backend = try device.makeOpenCLBackend(profiling: !wallOnly)
    let measurement = try profile.measure(on: backend) { words in Progress.show(Status(words)) }
    let report = ProfileReport(
      device: backend.device, details: details(profile, precision: backend.precision),
      tuning: tuning, measurement: measurement)
    return (report, measurement, backend.device)
  }

  /// The trace, the page, and what goes to standard output.
  func write(
    _ result: ProfileReport, _ measurement: ProfileMeasurement, device: Device
  ) throws {
    if let trace {
      try ChromeTrace(
        device: device.name, launches: measurement.passes.flatMap(\.launches)
      ).write(to: trace)
    }
    if let report { try result.writeHTML(to: report) }
    if output.json {
      try Output.write(json: result)
    } else {
      try Output.write(result.text)
    }
  }

  /// `--show` and `--forget`.
  private func showKept() throws {
    let device = try device.select()
    let kept = KeptTuning.all(for: device)
    if forget {
      let count = try KeptTuning.forgetAll(for: device)
      Output.note("forgot what was kept for \(count) layers on \(device.name)")
    }
    if output.json {
      try Output.write(json: KeptTunings(device: device.name, kept: forget ? [] : kept))
    } else if show {
      var table = Table(["layer", "kernels", "way to compute"])
      for choice in kept { table.add([choice.layer, choice.kernels, choice.words]) }
      try Output.write(
        kept.isEmpty ? "nothing is kept for \(device.name): the rules decide" : table.text)
    }
  }

  /// `--plan`.
  private func plans(among cells: [Cell] = []) throws -> Plans {
    try requireDevice()
    if let path = model.flatMap({ ONNXModel.path(at: $0) }) { try refuseLayerOptions(path) }
    let profile = try profile(among: cells)
    let selected = try device.select()
    let precision = device.precision ?? .float32
    return Plans(
      device: selected.name,
      workload: Dictionary(
        uniqueKeysWithValues: details(profile, precision: precision).map { ($0.key, $0.value) }),
      layers: PlannedLayer.all(
        profile.configuration, sequenceLength: profile.sequenceLength,
        batchSize: profile.batchSize, hasLengths: profile.lengths != nil,
        training: profile.training, on: selected, kernels: device.kernels, precision: precision))
  }

  private func write(plan: Plans) throws {
    try output.json ? Output.write(json: plan) : Output.write(plan.text)
  }

  private struct Plans: Encodable {
    let device: String
    let workload: [String: JSONScalar]
    let layers: [PlannedLayer]

    private enum CodingKeys: String, CodingKey {
      case device, layers
      case workload = "case"
    }

    var text: String {
      let parts = layers.map { layer in
        let width = (layer.choices.map(\.choice.count).max() ?? 0) + 2
        let lines = layer.choices.map { line in
          let name = line.choice.padding(toLength: width, withPad: " ", startingAt: 0)
          return folded(line.value, behind: name) + "\n"
            + folded("because \(line.reason)", behind: String(repeating: " ", count: width))
        }
        return ([layer.layer] + lines).joined(separator: "\n")
      }
      return ([device] + parts).joined(separator: "\n\n")
    }
  }

  private struct KeptTunings: Encodable {
    let device: String
    let kept: [KeptTuning]
  }

  private func profile(among cells: [Cell]) throws -> RecurrentProfile {
    let configuration =
      try modelConfiguration ?? recurrent.configuration(among: cells, defaults: Self.standard)
    let (sequenceLength, batchSize, lengths) = try batch.batch(
      sequenceLength: Self.standardSequenceLength, batchSize: Self.standardBatchSize)
    try configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    return try RecurrentProfile(
      configuration, sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths,
      training: mode == .training,
      iterations: try atLeastOne(iterations, "--iterations"), warmup: warmup, seed: seed.seed)
  }

  /// Measures every choice, keeps the fastest where it wins, and returns all of them.
  private func tuned(_ profile: RecurrentProfile) throws -> [ProfileReport.Choice] {
    let backend = try device.makeOpenCLBackend()
    let outcome = try profile.tune(on: backend) { words in Progress.show(Status(words)) }
    let file = try backend.keepTuning(
      profile.configuration.units.map(\.layer), batchSize: profile.batchSize, outcome.winner)
    let (gain, noise) = (
      percent(outcome.verdict.gain, digits: 1), percent(outcome.verdict.noise, digits: 1)
    )
    let beside = "'\(outcome.best.description)' saves \(gain) of the time, the noise is \(noise)"
    if outcome.winner == nil {
      Output.note("the rules stay, and nothing else is kept: \(beside)")
    } else {
      Output.note(
        file.map { "\(beside): kept in \($0)" }
          ?? "\(beside), but nothing is kept, for CAROUSEL_CACHE is off")
    }
    return outcome.choices.map {
      ProfileReport.Choice(words: $0.choice.description, medianSeconds: $0.medianSeconds)
    }
  }

  private func details(
    _ profile: RecurrentProfile, precision: ProductPrecision
  ) -> [(key: String, value: JSONScalar)] {
    let layers = profile.configuration
    return [
      ("cell", .text(layers.cell.rawValue)), ("mode", .text(mode.rawValue)),
      ("sequenceLength", .integer(profile.sequenceLength)),
      ("batchSize", .integer(profile.batchSize)),
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
}
