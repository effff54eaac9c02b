import ArgumentParser
import Carousel

/// A command that sets several cells, or several values of another option, side by side.
protocol SideBySideCommand: PagedCommand {
  /// The options that may have several values.
  static var listed: Set<String> { get }

  /// Runs a command for each value of an option, and writes all results together.
  static func run(_ commands: [Self], _ list: ValueList) throws
}

extension SideBySideCommand {
  static var listed: Set<String> { ValueList.layerOptions }
}

/// `--cell rnn,lstm` or `--hidden-size 64,128`: an option of a command line with several values.
struct ValueList {
  /// The option's name without dashes.
  let option: String
  /// The values as they were written.
  let values: [String]

  /// The options of layers and sizes that may have several values: those whose single value has no comma.
  static let layerOptions = Set([
    "cell", "hidden-size", "input-size", "layers", "direction", "merge", "dropout", "bias", "tie",
    "forget-decay", "sequence-length", "batch-size", "output-size", "vocabulary-size", "mode",
    "kernels", "precision",
  ]).union(CellOption.allCases.filter(\.takesValue).compactMap(\.optionName))

  /// What a command's help says of it.
  static let help = """
    Several values of one option stand side by side, with commas between them: --cell rnn,lstm,gru or \
    --hidden-size 64,128.
    """

  /// Reads a list.
  ///
  /// Throws a usage error where a value is empty or stands there twice.
  init(_ option: String, _ text: String) throws(CarouselError) {
    self.option = option
    values = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    if values.contains("") {
      throw CarouselError(
        .usage, "--\(option) takes values with commas between them, but one of '\(text)' is empty")
    }
    for (index, value) in values.enumerated() {
      let isTwice = values[..<index].contains {
        $0 == value || Double($0).map { $0 == Double(value) } == true
      }
      guard isTwice else { continue }
      throw CarouselError(
        .usage, "--\(option) takes different values, but '\(text)' has \(value) twice")
    }
  }

  /// What a row or a curve of a value is called; a cell speaks for itself.
  func name(_ index: Int) -> String {
    option == "cell" ? values[index] : "\(option) \(values[index])"
  }

  /// The heading of a column with the values.
  var title: String { option.replacing("-", with: " ") }

  /// What computes each value: the same for all, unless the option is about just that.
  func backends<Backend>(
    _ devices: [DeviceOptions], make: (DeviceOptions) throws -> Backend
  ) throws -> [Backend] {
    guard !["kernels", "precision"].contains(option) else { return try devices.map(make) }
    let shared = try make(devices[0])
    return devices.map { _ in shared }
  }

  /// Throws a usage error where options were given that are for one case alone.
  func refuse(_ options: [(name: String, isGiven: Bool)]) throws(CarouselError) {
    guard let one = options.first(where: \.isGiven)?.name else { return }
    throw CarouselError(
      .usage, "\(one) is for one case, but --\(option) has \(values.count) values")
  }

  /// The documents of all values, as `--json` prints them.
  func document<Element: Encodable>(_ documents: [Element]) -> SideBySideDocument<Element> {
    SideBySideDocument(list: self, documents: documents)
  }
}

/// Documents side by side: the option, its values, and what each would print alone.
struct SideBySideDocument<Element: Encodable>: Encodable {
  let list: ValueList
  let documents: [Element]

  private enum CodingKeys: CodingKey {
    case option, values, cells, cases
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(list.option, forKey: .option)
    try container.encode(list.values, forKey: .values)
    try container.encode(documents, forKey: list.option == "cell" ? .cells : .cases)
  }
}

extension Invocation {
  /// The list of the line, where it has one, and a line for each of its values.
  ///
  /// Throws a usage error where two options have lists, or a list is none.
  func variants() throws -> (list: ValueList, lines: [Invocation])? {
    guard let command = command as? any SideBySideCommand.Type else { return nil }
    var found: (list: ValueList, index: Int, isJoined: Bool)?
    for (index, word) in zip(rest.indices, rest.prefix { $0 != "--" }) {
      let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard word.hasPrefix("--"), sides[0].count > 2 else { continue }
      let isAlias = WorkOptions.aliases.contains(String(sides[0]))
      let name = isAlias ? "sequence-length" : String(sides[0].dropFirst(2))
      let next = index + 1 < rest.endIndex ? rest[index + 1] : ""
      let value = sides.count == 2 ? String(sides[1]) : next
      guard command.listed.contains(name), value.contains(",") else { continue }
      let list = try ValueList(name, value)
      if let earlier = found {
        throw CarouselError(
          .usage,
          earlier.list.option == name
            ? "--\(name) takes one list, but two are given"
            : "--\(earlier.list.option) and --\(name) have several values each, but only one option can"
        )
      }
      found = (list, index, sides.count == 2)
    }
    guard let found else { return nil }
    let lines = found.list.values.map { value in
      var line = self
      let word = String(rest[found.index].prefix { $0 != "=" })
      if found.isJoined || value.hasPrefix("-") {
        line.rest[found.index] = "\(word)=\(value)"
        if !found.isJoined { line.rest.remove(at: found.index + 1) }
      } else {
        line.rest[found.index + 1] = value
      }
      return line
    }
    return (found.list, lines)
  }
}
