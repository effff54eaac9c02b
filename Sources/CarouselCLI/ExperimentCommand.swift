import ArgumentParser
import Carousel
import Foundation

/// `carousel experiment`: a textbook question, answered by measuring.
struct ExperimentCommand: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "experiment",
    abstract: "Answers a textbook question: a table, pictures, the commands behind them.",
    discussion: """
      Without a name it lists the experiments. An experiment trains and measures for at most --budget, prints a table \
      with the mean over the seeds and from the least to the largest value, and says in a sentence what the numbers \
      show. Ctrl-C ends it with what was measured. docs/textbook.md explains them all.
      """)

  static let basics = [
    "cell", "seeds", "budget", "report", "plot", "device", "seed", "json", "quiet", "help-all",
  ]

  @Argument(
    help: ArgumentHelp(
      "The experiment: \(Experiment.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "The cells to compare, instead of the experiment's own.", valueName: "cell,…"))
  var cell: CellList?

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

  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard name == nil else { return }
    let given = [
      ("--cell", cell != nil), ("--budget", budget != nil), ("--report", report != nil),
      ("--plot", plot != nil),
    ]
    if let option = given.first(where: \.1)?.0 {
      throw ValidationError("\(option) belongs to an experiment, of which no name was given")
    }
  }

  func run() throws {
    guard let name else { return try list() }
    guard let experiment = Experiment(rawValue: name) else {
      let names = Experiment.allCases.map(\.rawValue)
      throw CarouselError(
        .usage,
        "there is no experiment '\(name)', expected one of \(names.joined(separator: ", "))"
          + suggestion(for: name, among: names))
    }
    for path in [report, plot].compactMap(\.self) { try AtomicFile.requireWritable(path) }
    var settings = ExperimentSettings()
    settings.cells = cell?.values
    settings.seeds = seeds
    settings.seed = seed.seed
    if let budget { settings.budgetSeconds = budget.seconds }
    try settings.validate(for: experiment)
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
    Interruption.listen(updates: 0)
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
      try Output.write(json: Document(result: result, files: files))
    } else {
      try Output.write(Self.text(result))
    }
    if result.end == .interrupted { throw ExitCode(130) }
  }

  /// `FILE-NAME.svg` for `FILE.svg`.
  private static func path(_ path: String, _ name: String) -> String {
    path.hasSuffix(".svg") ? "\(path.dropLast(4))-\(name).svg" : "\(path)-\(name)"
  }

  private static func text(_ result: ExperimentResult) -> String {
    let hasNotes = result.rows.contains { !$0.note.isEmpty }
    var table = Table([""] + result.columns.map(\.title) + (hasNotes ? ["what remains"] : []))
    for row in result.rows {
      table.add(
        [row.name] + result.columns.map { result.text(row, $0) } + (hasNotes ? [row.note] : []))
    }
    let ends = result.endSentence.map { [folded($0)] } ?? []
    return
      ([result.experiment.question, table.text, folded(result.finding)] + ends
      + result.notes.map { folded($0) }
      + ["The commands behind the rows:\n" + result.commands.joined(separator: "\n")])
      .joined(separator: "\n\n")
  }
}

/// The document of `experiment --json`.
private struct Document: Encodable {
  let result: ExperimentResult
  let files: [String]

  private enum CodingKeys: CodingKey {
    case files
  }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(files, forKey: .files)
  }
}
