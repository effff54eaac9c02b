import Carousel

/// A value that an option does not take, read from what the parser says of it.
struct WrongValue {
  /// What was expected and what was found.
  let sentence: String

  /// nil where the message is about something else.
  init?(_ message: String) {
    let pattern =
      /The value '(?<value>[\s\S]*)' is invalid for '(?<option>--[a-z-]+) <(?<kind>[^']*)>'(?<rest>[\s\S]*)/
    guard let match = message.wholeMatch(of: pattern) else { return nil }
    let value = String(match.value)
    let values = match.rest.matches(of: /'([^']+)'/).map { String($0.1) }
    let expected =
      values.isEmpty
      ? Self.expected[String(match.kind)] : "one of \(values.joined(separator: ", "))"
    guard let expected else { return nil }
    sentence =
      "\(match.option) takes \(expected), but is '\(value)'" + suggestion(for: value, among: values)
  }

  /// What the values of options are, by the names that the help gives them.
  private static let expected = [
    "count": "one whole number", "seed": "one whole number from 0 on",
    "number": "one number", "rate": "one number", "probability": "one number",
    "norm": "one number", "bound": "one number", "share": "one number", "λ": "one number",
    "K": "one whole number", "count,…": "whole numbers with commas between them",
    "h[,c]": "one number, or two with a comma between them",
    "time": "a time above 0 such as 90, 90s, 10m or 2h",
    "gate=value": "a gate and a number, such as forget=0",
    "gate=gate": "input=forget or forget=output",
    "[gate=]name[:alpha[:beta]]": "a function, such as relu, cell=softsign or elu:0.5, of "
      + NamedActivation.functions.map(\.rawValue).joined(separator: ", "),
  ]
}
