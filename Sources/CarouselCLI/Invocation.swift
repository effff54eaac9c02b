import ArgumentParser
import Carousel

/// A command line on its way to the parser: the command is found, values keep their minus signs, and
/// nothing is given twice.
struct Invocation {
  /// The root, and the commands below it that the line names.
  private(set) var commands: [any ParsableCommand.Type] = [CarouselCommand.self]
  /// What follows them.
  var rest: ArraySlice<String>
  /// The options of `--config`, and those that the line itself has.
  private var config: (file: ConfigFile, given: Set<String>)?

  /// Throws a usage error where a word in a command's place is none.
  init(_ words: [String]) throws {
    rest = words[...]
    let asksForHelp = rest.first == "help"
    if asksForHelp { rest = rest.dropFirst() }
    while !command.configuration.subcommands.isEmpty, let word = rest.first, !word.hasPrefix("-") {
      let subcommands = command.configuration.subcommands
      guard let next = subcommands.first(where: { $0._commandName == word }) else {
        let names = subcommands.map { $0._commandName }
        let hint = suggestion(for: word, among: names, before: name + " ")
        throw CarouselError(
          .usage,
          "there is no command '\(name) \(word)'"
            + (hint.isEmpty ? ", expected one of \(names.joined(separator: ", "))" : hint))
      }
      commands.append(next)
      rest = rest.dropFirst()
    }
    if asksForHelp { rest = ["--help"] }
  }

  var command: any ParsableCommand.Type { commands[commands.count - 1] }

  /// The commands as they are typed.
  var name: String { commands.map { $0._commandName }.joined(separator: " ") }

  /// Whether no progress is wanted.
  var isQuiet: Bool {
    rest.prefix { $0 != "--" }.contains { $0 == "--quiet" || $0 == "-q" }
  }

  /// The page that was asked for; nil where something is to be done.
  func helpPage() throws -> String? {
    let asked = rest.prefix { $0 != "--" }
    let all = asked.contains("--help-all") || asked.contains("--help-hidden")
    let isGroup = !command.configuration.subcommands.isEmpty
    guard all || asked.contains("--help") || asked.contains("-h") || isGroup && rest.isEmpty else {
      return nil
    }
    return try HelpPage(command, name: name).text(all: all)
  }

  /// Adds the options of the file of `--config`, where there is one; throws as `ConfigFile` does.
  mutating func readConfig() throws {
    let asked = rest.prefix { $0 != "--" }
    guard asked.contains(where: { $0 == "--config" || $0.hasPrefix("--config=") }) else { return }
    let info = try CommandInfo(command)
    var given: Set<String> = []
    var (path, hasPositionals) = (String?.none, false)
    var words = rest
    while let word = words.popFirst() {
      if word == "--" {
        hasPositionals = hasPositionals || !words.isEmpty
        break
      }
      let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard word.hasPrefix("-"), word != "-", let option = info.argument(sides[0]) else {
        hasPositionals = hasPositionals || !word.hasPrefix("-") || word == "-"
        continue
      }
      given.insert(option.name)
      var value = sides.count == 2 ? String(sides[1]) : nil
      if option.kind == .option, value == nil, let next = words.first, isValue(next, info) {
        value = words.removeFirst()
      }
      if option.name == "config" { path = value }
    }
    guard let path, info.argument("--config") != nil else { return }
    let file = try ConfigFile(path, for: info)
    rest = (file.words(besides: given, hasPositionals: hasPositionals) + rest)[...]
    config = (file, given)
  }

  /// An error of the parser, as one of the configuration file's where it is about a value of that.
  func locating(_ error: any Error) -> any Error {
    config.map { $0.file.locating(error, besides: $0.given) } ?? error
  }

  /// The words as the parser takes them.
  ///
  /// A value that begins with a minus sign is joined to its option. Throws a usage error where an option
  /// of one value is given twice.
  func parserWords() throws -> [String] {
    let path = commands.dropFirst().map { $0._commandName }
    let options = rest.prefix { $0 != "--" }.filter { $0.hasPrefix("-") }
    let names = options.map { $0.prefix { $0 != "=" } }
    guard
      options.contains(where: { !$0.hasPrefix("--") }) || Set(names).count < names.count
        || names.contains(where: { WorkOptions.aliases.contains(String($0)) })
    else { return path + rest }
    return try path + checkedOptions(CommandInfo(command))
  }

  private func checkedOptions(_ info: CommandInfo) throws -> [String] {
    var result: [String] = []
    var given: [String: String] = [:]
    var words = rest
    while let word = words.popFirst() {
      if word == "--" { return result + [word] + words }
      let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard word.hasPrefix("-"), let option = info.argument(sides[0]), option.kind == .option else {
        result.append(word)
        continue
      }
      var value = sides.count == 2 ? String(sides[1]) : nil
      if value == nil, let next = words.first, isValue(next, info) {
        value = next
        words.removeFirst()
        result += next.hasPrefix("-") ? ["\(word)=\(next)"] : [word, next]
      } else {
        result.append(word)
      }
      guard !option.isRepeating, let value else { continue }
      if let earlier = given.updateValue(value, forKey: option.name) {
        throw CarouselError(
          .usage,
          "--\(option.name) takes one value, but two are given: '\(earlier)' and '\(value)'")
      }
    }
    return result
  }

  /// Whether a word behind an option can be its value: `-1` and `-` can, another option cannot.
  private func isValue(_ word: String, _ info: CommandInfo) -> Bool {
    !word.hasPrefix("-") || word.contains(" ")
      || !word.hasPrefix("--") && info.argument(word) == nil
  }
}
