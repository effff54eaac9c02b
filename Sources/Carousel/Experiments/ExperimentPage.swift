import CarouselFormats

extension ExperimentResult {
  /// One page that needs nothing else: the question, what was seen, pictures, the table, and the commands.
  public var page: HTMLPage {
    let hasNotes = rows.contains { !$0.note.isEmpty }
    let table = HTMLPage.Block.table(
      columns: [""] + columns.map(\.title) + (hasNotes ? ["what remains"] : []),
      rows: rows.map { row in
        [row.name] + columns.map { text(row, $0) } + (hasNotes ? [row.note] : [])
      })
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

  /// The command that repeats the experiment, and those behind its rows.
  public var commands: [String] {
    let own = settings.cells.map { " --cell " + $0.map(\.rawValue).joined(separator: ",") } ?? ""
    let standard = ExperimentSettings()
    let rest =
      (settings.seeds == standard.seeds ? "" : " --seeds \(settings.seeds)")
      + (settings.budgetSeconds == standard.budgetSeconds
        ? "" : " --budget \(settings.budgetSeconds.formatted())s")
      + (settings.seed == standard.seed ? "" : " --seed \(settings.seed)")
    var seen: Set<String> = []
    return ["carousel experiment \(experiment.rawValue)\(own)\(rest)"]
      + rows.flatMap { $0.command.split(separator: "\n").map(String.init) }.filter {
        !$0.isEmpty && seen.insert($0).inserted
      }
  }
}

extension Double {
  /// The number without a point where it is whole.
  func formatted() -> String { self == rounded() && magnitude < 1e15 ? "\(Int(self))" : "\(self)" }
}
