import ArgumentParser
import Carousel
import Foundation
import Yams

/// `--config FILE.yaml`: options of a command from a file, each under its name without dashes.
///
/// A value is a scalar, or a list where an option may be given several times or takes names with commas
/// between them; a flag is `true` or `false`. What the command line gives wins over the file.
struct ConfigFile {
  /// An option of the file.
  struct Entry {
    let argument: ArgumentInfo
    let values: [String]
    let line: Int
  }

  let path: String
  private let entries: [Entry]

  /// Options of which the file's are left out where the command line has another of the group.
  private static let rivals: [Set<String>] = [
    ["bidirectional", "direction"], ["bias", "no-bias"],
    ["tie", "couple-input-forget", "forget-decay"],
  ]

  /// Reads a file for a command.
  ///
  /// Throws `missingInput` where there is none, and bad data with the line where it is no YAML mapping, or
  /// a key is unknown or given twice, or a value is none that the option could take.
  init(_ path: String, for info: CommandInfo) throws {
    self.path = path
    let bytes = try [UInt8](contentsOfFile: path)
    func failure(_ line: Int?, _ text: String) -> CarouselError {
      CarouselError(.badData, path + (line.map { ":\($0)" } ?? "") + ": " + text)
    }
    guard let text = String(bytes: bytes, encoding: .utf8) else {
      throw failure(nil, "expected YAML in UTF-8, found bytes that are not UTF-8")
    }
    guard let root = try Self.compose(text, failure) else {
      entries = []
      return
    }
    guard case .mapping(let mapping) = root else {
      throw failure(
        root.mark?.line, "expected options, each as 'name: value', found something else")
    }
    var entries: [Entry] = []
    for (key, value) in mapping {
      let line = key.mark?.line ?? 1
      let name = key.scalar?.string ?? "?"
      guard let argument = info.configurable(name) else {
        throw failure(
          line,
          "there is no option '\(name)'"
            + suggestion(for: name, among: info.configurable.map(\.name)))
      }
      if let earlier = entries.first(where: { $0.argument.name == argument.name }) {
        throw failure(line, "the option '\(name)' is given twice, first in line \(earlier.line)")
      }
      let values = try Self.values(value, of: argument) {
        failure(line, "the option '\(name)' \($0)")
      }
      if let values { entries.append(Entry(argument: argument, values: values, line: line)) }
    }
    self.entries = entries
  }

  /// The root of the document; nil of an empty one.
  private static func compose(
    _ text: String, _ failure: (Int?, String) -> CarouselError
  ) throws -> Node? {
    do {
      return try Yams.compose(yaml: text)
    } catch let error as YamlError {
      switch error {
      case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        throw failure(mark.line, "expected YAML, but \(problem)")
      case .duplicatedKeysInMapping(let duplicates, let context):
        throw failure(
          context.mark.line, "the option '\(duplicates.first ?? "?")' is given twice")
      default:
        throw failure(nil, "expected YAML, found something else")
      }
    }
  }

  /// What a node says of an option; nil where it is a flag that is off.
  private static func values(
    _ node: Node, of argument: ArgumentInfo, _ failure: (String) -> CarouselError
  ) throws -> [String]? {
    func scalar(_ node: Node) throws -> String {
      guard let text = node.scalar?.string, !text.isEmpty, node.null == nil else {
        throw failure(
          argument.kind == .flag ? "is true or false, but has no value" : "has no value")
      }
      return text
    }
    if argument.kind == .flag {
      let text = try scalar(node)
      switch text {
      case "true": return []
      case "false": return nil
      default: throw failure("is true or false, but is '\(text)'")
      }
    }
    guard case .sequence(let items) = node else { return [try scalar(node)] }
    let texts = try items.map(scalar)
    guard !texts.isEmpty else { throw failure("has an empty list") }
    return argument.isRepeating ? texts : [texts.joined(separator: ",")]
  }

  /// The words of a command line with what the file has beside them.
  ///
  /// `given` are the names of the options that the command line has, and `hasPositionals` says whether it has
  /// words that are no options.
  func words(besides given: Set<String>, hasPositionals: Bool) -> [String] {
    entries.flatMap { entry -> [String] in
      let name = entry.argument.name
      if entry.argument.kind == .positional { return hasPositionals ? [] : entry.values }
      let isBeaten =
        given.contains(name)
        || Self.rivals.contains { $0.contains(name) && !$0.isDisjoint(with: given) }
      guard !isBeaten else { return [] }
      return entry.argument.kind == .flag
        ? ["--\(name)"] : entry.values.map { "--\(name)=\($0)" }
    }
  }

  /// The error of a command line, as one of the file's where it is about a value that the file gives.
  func locating(_ error: any Error, besides given: Set<String>) -> any Error {
    guard let sentence = WrongValue(CarouselCommand.message(for: error))?.sentence else {
      return error
    }
    let entry = entries.first {
      sentence.hasPrefix("--\($0.argument.name) ") && !given.contains($0.argument.name)
    }
    return entry.map { CarouselError(.badData, "\(path):\($0.line): \(sentence)") } ?? error
  }
}

extension CommandInfo {
  /// What a configuration file may have.
  var configurable: [ArgumentInfo] {
    (arguments ?? []).filter { !["help", "version", "help-all", "config"].contains($0.name) }
  }

  /// The option, flag or positional of this name, or of another name that the parser takes for it.
  func configurable(_ name: String) -> ArgumentInfo? {
    configurable.first { $0.name == name || $0.spellings.contains("--\(name)") }
  }
}
