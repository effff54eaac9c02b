/// A failure that its user can understand and act upon: one sentence, and what kind it is.
///
/// The sentence names the file, tensor, option or device, what was expected and what was found. The
/// kind becomes the exit status of the command line.
public struct CarouselError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, as the caller has to treat it.
  public enum Kind: Int32, Sendable {
    /// A check that was asked for did not hold.
    case checkFailed = 1
    /// The options make no sense, alone or together.
    case usage = 64
    /// An input is there, but damaged, of the wrong form, or holds values that cannot be used.
    case badData = 65
    /// An input is missing or cannot be read.
    case missingInput = 66
    /// No OpenCL device can be used, or the one asked for is not there or too small.
    case noDevice = 69
    /// A file could not be written.
    case writeFailed = 74
  }

  /// What went wrong, as the caller has to treat it.
  public let kind: Kind
  /// One sentence, without a full stop.
  public let message: String

  /// Makes an error of a kind from one sentence.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The sentence.
  public var description: String { message }
}

/// A number and what it counts: "1 step", "3 steps".
package func counted(_ count: Int, _ noun: String) -> String {
  "\(count) \(noun)\(count == 1 ? "" : "s")"
}
