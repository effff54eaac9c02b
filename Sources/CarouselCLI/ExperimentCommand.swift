import ArgumentParser
import Carousel
import Foundation

/// `carousel experiment`: a textbook question, answered by measuring.
struct ExperimentCommand: SideBySideCommand {
  static let configuration = CommandConfiguration(
    commandName: "experiment",
    abstract: "Answers a textbook question: a table, pictures, the commands behind them.",
    discussion: """
      Without a name it lists the experiments. An experiment trains and measures for at most --budget, prints a table \
      with the mean over the seeds and from the least to the largest value, and says in a sentence what the numbers \
      show. Ctrl-C ends it with what was measured; a second one ends it at once, without. docs/textbook.md explains \
      them all. \(ValueList.help) Several sizes or lengths share the budget.
      """)

  static let listed: Set = ["cell", "hidden-size", "sequence-length"]

  static let basics = [
    "cell", "hidden-size", "sequence-length", "seeds", "budget", "report", "plot", "write-data",
    "device",
    "seed", "json", "quiet", "help-all",
  ]

  @Argument(
    help: ArgumentHelp(
      "The experiment: \(Experiment.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "name"))
  var name: String?

  @Option(help: "The cell, or with commas several to compare, instead of the experiment's own.")
  var cell: Cell?

  @Option(
    help: ArgumentHelp("H, the units of a layer, instead of the experiment's.", valueName: "count"))
  var hiddenSize: Int?

  @Option(
    name: [.customLong("sequence-length"), .customLong("steps")],
    help: ArgumentHelp(
      "T, where the experiment has one, instead of its own.", valueName: "count"))
  var sequenceLength: Int?

  @Option(help: ArgumentHelp("How many seeds, counted from --seed.", valueName: "count"))
  var seeds = ExperimentSettings().seeds

  @Option(
    help: ArgumentHelp(
      "The time that it may take: 90, 90s, 10m or 2h; trainings are longer with more (default: 2m).",
      valueName: "time"))
  var budget: TimeSpan?

  @Option(
    help: ArgumentHelp("Write a page with the table and the pictures.", valueName: "file.html"))
  var report: String?

  @Option(
    help: ArgumentHelp(
      "Draw the pictures: the first to this file, the others beside it, to FILE-NAME.svg.",
      valueName: "file.svg"))
  var plot: String?

  @Option(
    help: ArgumentHelp(
      "Write the text or the sequences that the trainings read, for the commands behind the rows, and measure nothing.",
      valueName: "file"))
  var writeData: String?

  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard name == nil else { return }
    let given = [
      ("--cell", cell != nil), ("--hidden-size", hiddenSize != nil),
      ("--sequence-length", sequenceLength != nil), ("--budget", budget != nil),
      ("--report", report != nil), ("--plot", plot != nil), ("--write-data", writeData != nil),
    ]
    if let option = given.first(where: \.1)?.0 {
      throw ValidationError("\(option) belongs to an experiment, of which no name was given")
    }
  }

  func run() throws {
    guard let name else { return try list() }
    let experiment = try experiment(name)
    let settings = try settings(of: experiment, cells: cell.map { [$0] })
    if let writeData {
      return try write(data: experiment.data(settings), of: experiment, to: writeData)
    }
    try run(experiment, settings)
  }

  static func run(_ commands: [ExperimentCommand], _ list: ValueList) throws {
    let first = commands[0]
    // Without a name each of them fails alike.
    guard let name = first.name else { return try first.run() }
    let experiment = try first.experiment(name)
    try list.refuse([("--write-data", first.writeData != nil)])
    if list.option == "cell" {
      return try first.run(
        experiment, first.settings(of: experiment, cells: commands.compactMap(\.cell)))
    }
    try list.refuse([("--report", first.report != nil), ("--plot", first.plot != nil)])
    let all = try commands.map { command in
      var settings = try command.settings(of: experiment, cells: command.cell.map { [$0] })
      settings.budgetSeconds /= Double(commands.count)
      try settings.validate(for: experiment)
      return settings
    }
    let backend: any Backend = try first.device.makeBackend()
    var results: [ExperimentResult] = []
    for settings in all where !Interruption.isRequested {
      results.append(try first.result(experiment, settings, on: backend))
    }
    if first.output.json {
      try Output.write(
        json: list.document(results.map { ExperimentDocument(result: $0, files: []) }))
    } else {
      try Output.write(ExperimentResult.text(results, list))
    }
    if Interruption.isRequested { throw ExitCode(130) }
  }

  private func experiment(_ name: String) throws -> Experiment {
    if let experiment = Experiment(rawValue: name) { return experiment }
    let names = Experiment.allCases.map(\.rawValue)
    throw CarouselError(
      .usage,
      "there is no experiment '\(name)', expected one of \(names.joined(separator: ", "))"
        + suggestion(for: name, among: names))
  }

  private func settings(of experiment: Experiment, cells: [Cell]?) throws -> ExperimentSettings {
    for path in [report, plot].compactMap(\.self) { try AtomicFile.requireWritable(path) }
    var settings = ExperimentSettings()
    settings.cells = cells
    settings.hiddenSize = hiddenSize
    settings.sequenceLength = sequenceLength
    settings.seeds = seeds
    settings.seed = seed.seed
    if let budget { settings.budgetSeconds = budget.seconds }
    try settings.validate(for: experiment)
    return settings
  }

  /// `--write-data`.
  private func write(data: [UInt8]?, of experiment: Experiment, to path: String) throws {
    guard let data else {
      throw CarouselError(
        .usage, "the experiment \(experiment.rawValue) reads no file that could be written")
    }
    try AtomicFile.write(data, to: path)
    Output.note("carousel: wrote \(data.count) bytes to \(path)")
  }

  private func run(_ experiment: Experiment, _ settings: ExperimentSettings) throws {
    let backend: any Backend = try device.makeBackend()
    try finish(try result(experiment, settings, on: backend))
  }

  private func list() throws {
    let rows = Experiment.allCases.map { Listed(name: $0.rawValue, question: $0.question) }
    if output.json { return try Output.write(json: ["experiments": rows]) }
    var table = Table(["experiment", "question"])
    for row in rows { table.add([row.name, row.question]) }
    try Output.write(table.text)
  }

  private struct Listed: Encodable {
    let name: String, question: String
  }

  private func result(
    _ experiment: Experiment, _ settings: ExperimentSettings, on backend: any Backend
  ) throws -> ExperimentResult {
    if output.quiet { Progress.end() }
    Interruption.listen(.experiment)
    let monitor = ExperimentMonitor(
      report: { progress in
        let (words, fraction) = (progress.words, progress.fraction)
        Progress.show(Status("\(Int(fraction * 100)) %", words, fraction: fraction))
      }, shouldStop: { Interruption.isRequested })
    return try experiment.run(settings, on: backend, monitor: monitor)
  }

  /// Writes the files, prints the result, and ends the process where it was interrupted.
  private func finish(_ result: ExperimentResult) throws {
    var files: [String] = []
    if let plot {
      for (index, figure) in result.figures.enumerated() {
        let path = index == 0 ? plot : Self.path(plot, figure.name)
        try figure.picture.write(to: path)
        files.append(path)
      }
    }
    if let report {
      try result.page.write(to: report)
      files.append(report)
    }
    if output.json {
      try Output.write(json: ExperimentDocument(result: result, files: files))
    } else {
      try Output.write(result.text)
    }
    if result.end == .interrupted { throw ExitCode(130) }
  }

  /// `FILE-NAME.svg` for `FILE.svg`.
  private static func path(_ path: String, _ name: String) -> String {
    path.hasSuffix(".svg") ? "\(path.dropLast(4))-\(name).svg" : "\(path)-\(name)"
  }
}
