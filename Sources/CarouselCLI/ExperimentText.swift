import Carousel

extension ExperimentResult {
  /// The result as `experiment` prints it: question, equations, table, what was seen, and the commands.
  var text: String {
    var table = Table(titles)
    for row in texts { table.add(row) }
    return (introduction + [table.foldedText] + sentences + [Self.text(of: commands)])
      .joined(separator: "\n\n")
  }

  /// Several values of an option side by side: one table, what was seen with each, and all commands.
  static func text(_ results: [ExperimentResult], _ list: ValueList) -> String {
    guard let first = results.first else { return "" }
    var table = Table(first.titles)
    for (index, result) in results.enumerated() {
      for row in result.texts {
        table.add(["\(row[0]), \(list.name(index))"] + row.dropFirst())
      }
    }
    let sentences = results.enumerated().flatMap { index, result in
      ["With \(list.option) \(list.values[index]):"] + result.sentences
    }
    var seen: Set<String> = []
    let commands = results.flatMap(\.commands).filter { seen.insert($0).inserted }
    return (first.introduction + [table.foldedText] + sentences + [text(of: commands)])
      .joined(separator: "\n\n")
  }

  private var introduction: [String] { [experiment.question] + explanation.map { folded($0) } }

  /// What was seen, how it ended, and what to know beside it.
  private var sentences: [String] {
    [folded(finding)] + (endSentence.map { [folded($0)] } ?? []) + notes.map { folded($0) }
  }

  private static func text(of commands: [String]) -> String {
    "The commands behind the rows:\n" + commands.joined(separator: "\n")
  }
}

/// The document of `experiment --json`.
struct ExperimentDocument: Encodable {
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
