import ArgumentParser
import Foundation

/// What the parser knows of a command, or of a group of its options: its options with names, groups and defaults.
///
/// It takes some time to collect, so it is asked for only where help or a closer look is needed.
struct CommandInfo: Decodable {
  let abstract: String?
  let discussion: String?
  let arguments: [ArgumentInfo]?

  private struct Tool: Decodable { let command: CommandInfo }

  init(_ type: any ParsableArguments.Type) throws {
    self = try JSONDecoder().decode(Tool.self, from: Data(type._dumpHelp().utf8)).command
  }

  /// The option or flag that a word of the command line names.
  func argument(_ word: some StringProtocol) -> ArgumentInfo? {
    arguments?.first { $0.spellings.contains(String(word)) }
  }

  /// The options and flags, but for those of every program.
  var options: [ArgumentInfo] {
    (arguments ?? []).filter {
      $0.kind != .positional && $0.name != "help" && $0.name != "version"
    }
  }
}

/// An option, a flag, or what has a place of its own.
struct ArgumentInfo: Decodable {
  enum Kind: String, Decodable {
    case positional, option, flag
  }

  struct Name: Decodable {
    let kind: String
    let name: String

    /// The name as it is written: `--json`, `-q`.
    var spelling: String { (kind == "long" ? "--" : "-") + name }
  }

  let kind: Kind
  let sectionTitle: String?
  let isOptional: Bool
  let isRepeating: Bool
  let names: [Name]?
  let preferredName: Name?
  let valueName: String?
  let defaultValue: String?
  let allValues: [String]?
  let abstract: String?
  let discussion: String?

  /// The name without dashes.
  var name: String { preferredName?.name ?? valueName ?? "" }

  /// All ways to write it.
  var spellings: [String] { (names ?? []).map(\.spelling) }
}
