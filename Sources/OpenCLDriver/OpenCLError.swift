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

extension OpenCLError {
  /// The code with which an ICD loader says that no platform is installed (`cl_khr_icd`).
  static let platformNotFound: Int32 = -1001

  /// The name of a status code in the OpenCL headers.
  static func name(of code: Int32) -> String {
    code == platformNotFound
      ? "CL_PLATFORM_NOT_FOUND_KHR" : names[code, default: "an unknown status"]
  }

  private static let names: [Int32: String] = [
    -1: "CL_DEVICE_NOT_FOUND",
    -2: "CL_DEVICE_NOT_AVAILABLE",
    -3: "CL_COMPILER_NOT_AVAILABLE",
    -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE",
    -5: "CL_OUT_OF_RESOURCES",
    -6: "CL_OUT_OF_HOST_MEMORY",
    -7: "CL_PROFILING_INFO_NOT_AVAILABLE",
    -8: "CL_MEM_COPY_OVERLAP",
    -9: "CL_IMAGE_FORMAT_MISMATCH",
    -10: "CL_IMAGE_FORMAT_NOT_SUPPORTED",
    -11: "CL_BUILD_PROGRAM_FAILURE",
    -12: "CL_MAP_FAILURE",
    -13: "CL_MISALIGNED_SUB_BUFFER_OFFSET",
    -14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
    -15: "CL_COMPILE_PROGRAM_FAILURE",
    -16: "CL_LINKER_NOT_AVAILABLE",
    -17: "CL_LINK_PROGRAM_FAILURE",
    -18: "CL_DEVICE_PARTITION_FAILED",
    -19: "CL_KERNEL_ARG_INFO_NOT_AVAILABLE",
    -30: "CL_INVALID_VALUE",
    -31: "CL_INVALID_DEVICE_TYPE",
    -32: "CL_INVALID_PLATFORM",
    -33: "CL_INVALID_DEVICE",
    -34: "CL_INVALID_CONTEXT",
    -35: "CL_INVALID_QUEUE_PROPERTIES",
    -36: "CL_INVALID_COMMAND_QUEUE",
    -37: "CL_INVALID_HOST_PTR",
    -38: "CL_INVALID_MEM_OBJECT",
    -39: "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR",
    -40: "CL_INVALID_IMAGE_SIZE",
    -41: "CL_INVALID_SAMPLER",
    -42: "CL_INVALID_BINARY",
    -43: "CL_INVALID_BUILD_OPTIONS",
    -44: "CL_INVALID_PROGRAM",
    -45: "CL_INVALID_PROGRAM_EXECUTABLE",
    -46: "CL_INVALID_KERNEL_NAME",
    -47: "CL_INVALID_KERNEL_DEFINITION",
    -48: "CL_INVALID_KERNEL",
    -49: "CL_INVALID_ARG_INDEX",
    -50: "CL_INVALID_ARG_VALUE",
    -51: "CL_INVALID_ARG_SIZE",
    -52: "CL_INVALID_KERNEL_ARGS",
    -53: "CL_INVALID_WORK_DIMENSION",
    -54: "CL_INVALID_WORK_GROUP_SIZE",
    -55: "CL_INVALID_WORK_ITEM_SIZE",
    -56: "CL_INVALID_GLOBAL_OFFSET",
    -57: "CL_INVALID_EVENT_WAIT_LIST",
    -58: "CL_INVALID_EVENT",
    -59: "CL_INVALID_OPERATION",
    -60: "CL_INVALID_GL_OBJECT",
    -61: "CL_INVALID_BUFFER_SIZE",
    -62: "CL_INVALID_MIP_LEVEL",
    -63: "CL_INVALID_GLOBAL_WORK_SIZE",
    -64: "CL_INVALID_PROPERTY",
    -65: "CL_INVALID_IMAGE_DESCRIPTOR",
    -66: "CL_INVALID_COMPILER_OPTIONS",
    -67: "CL_INVALID_LINKER_OPTIONS",
    -68: "CL_INVALID_DEVICE_PARTITION_COUNT",
    -69: "CL_INVALID_PIPE_SIZE",
    -70: "CL_INVALID_DEVICE_QUEUE",
    -71: "CL_INVALID_SPEC_ID",
  ]
}
