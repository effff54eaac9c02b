import ArgumentParser
import Foundation

/// A command whose help begins with the options that people use.
protocol PagedCommand: ParsableCommand {
  /// The names of the options on the first page, in their order; an empty list shows all.
  static var basics: [String] { get }
  /// What options are where they are absent, by their names; taken from where the command takes it.
  static var defaults: [String: String] { get }
}

extension PagedCommand {
  static var basics: [String] { [] }
  static var defaults: [String: String] { [:] }
}

/// The help of a command: a page with the options that people use, or all of them in groups.
struct HelpPage {
  private let type: any ParsableCommand.Type
  private let name: String
  private let info: CommandInfo
  /// The options of gates and weights, which stand under a heading of their own.
  private let gateOptions: Set<String>
  private let width = min(Terminal.width(of: STDOUT_FILENO) ?? 80, 100)

  init(_ type: any ParsableCommand.Type, name: String) throws {
    self.type = type
    self.name = name
    info = try CommandInfo(type)
    gateOptions = Set(try CommandInfo(GateOptions.self).options.map(\.name))
  }

  /// The page; `all` has every option, under headings.
  func text(all: Bool) -> String {
    let head = [info.abstract, info.discussion].compactMap(\.self).map { wrapped($0) }
    return (head + [usage] + sections(all: all) + [footer(all: all)])
      .filter { !$0.isEmpty }.joined(separator: "\n\n")
  }

  private var subcommands: [any ParsableCommand.Type] { type.configuration.subcommands }

  private var positionals: [ArgumentInfo] {
    (info.arguments ?? []).filter { $0.kind == .positional }
  }

  private var usage: String {
    if !subcommands.isEmpty { return "USAGE: \(name) <command>" }
    let words = positionals.map { argument in
      let word = "<\(argument.name)>" + (argument.isRepeating ? " ..." : "")
      return argument.isOptional ? "[\(word)]" : word
    }
    let required = info.options.filter { $0.kind == .option && !$0.isOptional }.map(label)
    return wrapped(
      "USAGE: " + ([name] + words + required + ["[options]"]).joined(separator: " "), indent: 7)
  }

  private func sections(all: Bool) -> [String] {
    let commands = subcommands.map {
      row($0._commandName, $0.configuration.abstract)
    }
    let arguments = positionals.map { row("<\($0.name)>", description($0)) }
    return [section("COMMANDS", commands), section("ARGUMENTS", arguments)] + optionSections(all)
  }

  private func optionSections(_ all: Bool) -> [String] {
    guard subcommands.isEmpty else { return [] }
    let basics = self.basics
    if !all, !basics.isEmpty {
      let rows = basics.compactMap { info.argument("--\($0)") }
      return [section("OPTIONS", rows.map { row(label($0), description($0)) })]
    }
    var titles: [String] = []
    for title in info.options.map(title) where !titles.contains(title) { titles.append(title) }
    // Those without a heading of their own come last.
    return (titles.filter { !$0.isEmpty } + [""]).map { title in
      let rows = info.options.filter { self.title($0) == title }.map { option in
        row(label(option), description(option))
          + (option.discussion.map { "\n" + wrapped($0, indent: 8, first: 8) } ?? "")
      }
      return section(title.isEmpty ? "OPTIONS" : title.uppercased(), rows)
    }
  }

  private func title(_ option: ArgumentInfo) -> String {
    let title = option.sectionTitle ?? ""
    return !title.isEmpty && gateOptions.contains(option.name) ? "Gates and weights" : title
  }

  private var basics: [String] { (type as? any PagedCommand.Type)?.basics ?? [] }

  private func footer(all: Bool) -> String {
    if !subcommands.isEmpty { return "'\(name) <command> --help' says more of a command." }
    guard !all, !basics.isEmpty else { return "" }
    return wrapped(
      "'\(name) --help-all' shows all \(info.options.count) options, their groups and details.")
  }

  private func section(_ title: String, _ rows: [String]) -> String {
    rows.isEmpty ? "" : ([title + ":"] + rows).joined(separator: "\n")
  }

  private func label(_ argument: ArgumentInfo) -> String {
    let value = argument.kind == .option ? " <\(argument.valueName ?? argument.name)>" : ""
    return argument.spellings.joined(separator: ", ") + value
  }

  /// What it does, the values it takes where the sentence does not name them, and the default.
  private func description(_ argument: ArgumentInfo) -> String {
    let abstract = (argument.abstract ?? "").replacing("\n", with: " ")
    var details: [String] = []
    if let values = argument.allValues, !values.allSatisfy({ abstract.contains($0) }) {
      details.append(values.joined(separator: ", "))
    }
    let defaults = (type as? any PagedCommand.Type)?.defaults ?? [:]
    if argument.kind != .flag, let value = defaults[argument.name] ?? argument.defaultValue,
      !value.isEmpty
    {
      details.append("default: \(value)")
    }
    return abstract + (details.isEmpty ? "" : " (\(details.joined(separator: "; ")))")
  }

  private func row(_ label: String, _ text: String) -> String {
    let column = 26
    let start = "  " + label
    guard start.count < column else {
      return start + "\n" + wrapped(text, indent: column, first: column)
    }
    let padding = String(repeating: " ", count: column - start.count)
    return start + padding + wrapped(text, indent: column, used: column)
  }

  /// The text in lines of the terminal's width; `first` blanks stand before the first line, `indent`
  /// before the others, and `used` columns of the first are taken.
  private func wrapped(_ text: String, indent: Int = 0, first: Int = 0, used: Int = 0) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { paragraph in
      var lines = [String(repeating: " ", count: first)]
      var column = first + used
      var isEmpty = true
      for word in paragraph.split(separator: " ") {
        if !isEmpty, column + 1 + word.count > width {
          lines.append(String(repeating: " ", count: indent))
          column = indent
          isEmpty = true
        }
        if !isEmpty { column += 1 }
        lines[lines.count - 1] += (isEmpty ? "" : " ") + word
        column += word.count
        isEmpty = false
      }
      return lines.joined(separator: "\n")
    }.joined(separator: "\n")
  }
}
