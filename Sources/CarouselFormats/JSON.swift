import Foundation

/// JSON text as every command prints it and every file holds it.
public enum JSON {
  /// What stands for a number that is not finite until it becomes `null`.
  private static let nonFinite = UUID().uuidString

  /// Encodes a value: keys sorted, so that the same value is always the same text; slashes as they
  /// are; NaN and infinities, which JSON does not have, as `null`; indented where `pretty`.
  ///
  /// The value must be encodable: a custom `encode(to:)` that throws is a bug.
  public static func encode(_ value: some Encodable, pretty: Bool = false) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: nonFinite, negativeInfinity: nonFinite, nan: nonFinite)
    do {
      let text = String(decoding: try encoder.encode(value), as: UTF8.self)
      return text.replacing("\"\(nonFinite)\"", with: "null")
    } catch {
      preconditionFailure("\(type(of: value)) cannot be encoded: \(error)")
    }
  }
}

/// A text or a number, where a JSON document has either.
public enum JSONScalar: Hashable, Sendable, Encodable, CustomStringConvertible,
  ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral
{
  /// A text.
  case text(String)
  /// A whole number.
  case integer(Int)
  /// Any number; one that is not finite becomes `null`.
  case number(Double)
  /// True or false.
  case flag(Bool)

  /// Makes a text.
  public init(stringLiteral value: String) { self = .text(value) }

  /// Makes a whole number.
  public init(integerLiteral value: Int) { self = .integer(value) }

  /// Makes a number.
  public init(floatLiteral value: Double) { self = .number(value) }

  /// Makes a flag.
  public init(booleanLiteral value: Bool) { self = .flag(value) }

  /// The value as it is shown to people.
  public var description: String {
    switch self {
    case .text(let value): value
    case .integer(let value): String(value)
    case .number(let value): String(value)
    case .flag(let value): String(value)
    }
  }

  /// Encodes the bare value.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .flag(let value): try container.encode(value)
    }
  }
}
