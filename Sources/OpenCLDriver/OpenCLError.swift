import COpenCL
import Foundation
import Synchronization

/// A failure of OpenCL: what was being done, and how it ended.
public struct OpenCLError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, as a caller may want to tell apart.
  public enum Kind: Sendable {
    /// An OpenCL call returned an error.
    case call
    /// A program did not compile; `buildLog` says why.
    case build
    /// The device has not the memory that was asked for.
    case memory
    /// The OpenCL library is not installed, or cannot be used.
    case noLibrary
    /// No OpenCL platform is installed.
    case noPlatform
    /// Platforms are installed, but none of them has a usable device.
    case noDevice
    /// No device matches what was asked for.
    case noMatchingDevice
    /// More than one device matches what was asked for.
    case ambiguousDevice
  }

  /// What kind of failure it is.
  public let kind: Kind
  /// The OpenCL status code, always negative.
  public let code: Int32
  /// What was being done, as in "while launching lstm_forward".
  public let doing: String
  /// What was expected and what was found, where more is known than the code.
  public let explanation: String?
  /// What the device's compiler had to say, where a program was built.
  public let buildLog: String?

  init(
    _ kind: Kind = .call, code: Int32, doing: String, explanation: String? = nil,
    buildLog: String? = nil
  ) {
    self.kind = kind
    self.code = code
    self.doing = doing
    self.explanation = explanation
    self.buildLog = buildLog
  }

  /// The name of the status code in the OpenCL headers, such as `CL_OUT_OF_RESOURCES`.
  public var name: String { OpenCLError.name(of: code) }

  /// One sentence without a full stop; for a program that did not compile, the build log follows.
  public var description: String {
    var text = explanation ?? "OpenCL failed with \(name) (\(code)) while \(doing)"
    if let buildLog, !buildLog.isEmpty { text += ":\n\(buildLog)" }
    return text
  }
}

/// The one door through which every OpenCL status passes.
@inline(__always)
func check(_ code: cl_int, _ doing: @autoclosure () -> String) throws(OpenCLError) {
  if code != CL_SUCCESS { throw OpenCLError(code: code, doing: doing()) }
}

/// Whether a call succeeded that ends something, so that nobody can mend a failure; the first one of a
/// process is written to standard error.
@discardableResult
func succeeds(_ code: cl_int, _ doing: StaticString) -> Bool {
  if code == CL_SUCCESS { return true }
  if !hasLoggedFailure.exchange(true, ordering: .relaxed) {
    let line = Array("warning: \(OpenCLError(code: code, doing: "\(doing)"))\n".utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
  return false
}

private let hasLoggedFailure = Atomic(false)

/// Takes the handle that an OpenCL call made, after checking its status.
@inline(__always)
func made<Handle>(
  _ handle: Handle?, _ code: cl_int, _ doing: @autoclosure () -> String
) throws(OpenCLError) -> Handle {
  try check(code, doing())
  guard let handle else { throw OpenCLError(code: CL_INVALID_VALUE, doing: doing()) }
  return handle
}
