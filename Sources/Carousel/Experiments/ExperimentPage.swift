import CarouselFormats

extension ExperimentResult {
  /// The headings of the table, that of the rows' names first.
  public var titles: [String] {
    [""] + columns.map(\.title) + (hasNotes ? ["what remains"] : [])
  }

  /// The table's rows as they are shown.
  public var texts: [[String]] {
    rows.map { row in
      [row.name] + columns.map { text(row, $0) } + (hasNotes ? [row.note] : [])
    }
  }

  private var hasNotes: Bool { rows.contains { !$0.note.isEmpty } }

  /// One page that needs nothing else: the question, what was seen, pictures, the table, and the commands.
  package var page: HTMLPage {
    let table = HTMLPage.Block.table(columns: titles, rows: texts)
    let seeds =
      settings.seeds == 1
      ? "the seed \(settings.seed)"
      : "\(settings.seeds) seeds, from \(settings.seed) on: the mean, and from the least to the largest"
    return HTMLPage(
      kind: "Carousel experiment: \(experiment.rawValue)", title: experiment.question,
      subtitle: "\(device), \(seconds.readable) s",
      blocks: [.finding(finding)]
        + (endSentence.map { [.note($0)] } ?? [])
        + explanation.map { .paragraph($0) }
        + figures.map { .picture($0.picture, caption: $0.caption) }
        + [.heading("Measured"), .note("With \(seeds)."), table]
        + (notes.isEmpty ? [] : [.list(notes)])
        + [.heading("The commands behind the rows"), .commands(commands)])
  }

  /// The command that repeats the experiment, and those behind its rows, which give its numbers with the first
  /// seed; before them the one that writes the file that they read.
  public var commands: [String] {
    var seen: Set<String> = []
    let own = "carousel experiment \(experiment.rawValue)\(words)"
    let data = experiment.dataFile.map { ["\(own) --write-data \($0)"] } ?? []
    return [own] + data
      + rows.flatMap { $0.command.split(separator: "\n").map(String.init) }.filter {
        !$0.isEmpty && seen.insert($0).inserted
      }
  }

  /// The options that differ from the standard ones.
  private var words: String {
    let standard = ExperimentSettings()
    let numbers = [
      (
        "budget",
        settings.budgetSeconds == standard.budgetSeconds
          ? nil : "\(settings.budgetSeconds.formatted())s"
      ), ("cell", settings.cells.map { $0.map(\.rawValue).joined(separator: ",") }),
      ("hidden-size", settings.hiddenSize.map(String.init)),
      ("sequence-length", settings.sequenceLength.map(String.init)),
      ("seeds", settings.seeds == standard.seeds ? nil : "\(settings.seeds)"),
      ("seed", settings.seed == standard.seed ? nil : "\(settings.seed)"),
    ]
    return numbers.compactMap { name, value in value.map { " --\(name) \($0)" } }.joined()
  }
}

extension Double {
  /// The number without a point where it is whole.
  func formatted() -> String { self == rounded() && magnitude < 1e15 ? "\(Int(self))" : "\(self)" }
}
