import Foundation
import Testing

@testable import OpenCLDriver

/// The devices of this machine; tests that need one are visibly skipped where there is none.
///
/// Suites that use a context run on the main actor: Oclgrind crashes where one thread makes a
/// context and another one writes to its buffers.
enum Machine {
  static var hasDevice: Bool { (try? device) != nil }

  static var isPoCL: Bool { (try? device.isPoCL) == true }

  /// The device that `CAROUSEL_TEST_DEVICE` names, or the default one.
  static var device: Device {
    get throws {
      try Device.select(ProcessInfo.processInfo.environment["CAROUSEL_TEST_DEVICE"] ?? "auto")
    }
  }

  /// A context on that device, which keeps no programs on disk unless told.
  static func context(
    cache: ProgramCache = ProgramCache(folder: nil), memoryBytes: Int? = nil
  ) throws -> Context {
    try Context(device: device, cache: cache, memoryBytes: memoryBytes)
  }
}

/// A folder that goes away with its owner.
final class TemporaryFolder {
  let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)

  init() throws {
    try FileManager.default.createDirectory(
      at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }
}

/// Runs `body`, which has to throw an `OpenCLError`, and hands that on.
func failure(_ body: () throws -> Void) throws -> OpenCLError {
  try #require(throws: OpenCLError.self, performing: body)
}

enum Source {
  static let scale = """
    __kernel void scale(__global const float *x, __global float *y, const float factor,
                        const uint count) {
      const size_t i = get_global_id(0);
      if (i < count) y[i] = factor * x[i];
    }
    """

  static let everyKind = """
    __kernel void every_kind(__global float *y, __constant float *table, const int i,
                             const uint u, const ulong w, const float f,
                             __global const float *maybe) {
      const float sum = f + i + u + (float)w + table[0];
      y[0] = sum + (maybe ? maybe[0] : 1000.0f);
    }
    """
}
