import Foundation

/// The built binary, run as a user runs it.
struct Command {
  /// How it ended and what it said.
  let status: Int32
  let output: String, errors: String

  /// The binary that `CAROUSEL_TEST_BINARY` names, or the one beside the test bundle.
  static let binary: URL = {
    if let path = ProcessInfo.processInfo.environment["CAROUSEL_TEST_BINARY"] {
      return URL(filePath: path)
    }
    let bundle = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    return bundle.deletingLastPathComponent().appending(path: "carousel")
  }()

  /// Whether an OpenCL device can be used on this machine.
  static let hasDevice = (try? Command(["devices"]).status) == 0

  /// The cache of programs that the commands of a test run share: without one each of them compiles anew.
  private static let cache: String = {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "carousel-test-\(UUID().uuidString)")
    atexit { try? FileManager.default.removeItem(atPath: Command.cache) }
    return folder.path
  }()

  /// What of this process's environment a command must not see, and what it sees instead: no program
  /// comes from the user's cache or goes there, and the device is the one that is tested.
  private static let environment: [String: String] = {
    var result = ProcessInfo.processInfo.environment
    for name in ["CAROUSEL_DEVICE", "CAROUSEL_KERNELS"] { result[name] = nil }
    result["CAROUSEL_DEVICE"] = result["CAROUSEL_TEST_DEVICE"]
    result["CAROUSEL_CACHE"] = cache
    return result
  }()

  /// Runs `carousel` with arguments; `environment` is added to this process's.
  init(_ arguments: [String], environment: [String: String] = [:]) throws {
    try self.init(Self.binary, arguments, environment: environment)
  }

  /// Runs a line of shell in which `$carousel` is the binary.
  init(shell line: String) throws {
    try self.init(
      URL(filePath: "/bin/bash"), ["-o", "pipefail", "-c", line],
      environment: ["carousel": Self.binary.path])
  }

  /// The program of the package that is built beside the tests, whatever binary they try.
  init(program: String, _ arguments: [String], environment: [String: String]) throws {
    let bundle = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    try self.init(
      bundle.deletingLastPathComponent().appending(path: program), arguments,
      environment: environment)
  }

  private init(_ binary: URL, _ arguments: [String], environment: [String: String]) throws {
    let folder = try Folder()
    let process = Process()
    process.executableURL = binary
    process.arguments = arguments
    process.environment = Self.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: folder.create("output"))
    process.standardError = try FileHandle(forWritingTo: folder.create("errors"))
    try process.run()
    process.waitUntilExit()
    status = process.terminationStatus
    output = try String(contentsOfFile: folder["output"], encoding: .utf8)
    errors = try String(contentsOfFile: folder["errors"], encoding: .utf8)
  }

  /// Standard output as a JSON object.
  var json: [String: Any] {
    get throws {
      let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
      return value as? [String: Any] ?? [:]
    }
  }

  /// The lines on standard error that are its own, and not of an OpenCL driver's compiler.
  var sentences: [Substring] { errors.split(separator: "\n").filter { $0.hasPrefix("carousel: ") } }

  /// Whether it failed as every failure has to: nothing on standard output, one line on standard
  /// error.
  var isOneSentence: Bool {
    output.isEmpty && errors.hasPrefix("carousel: ") && errors.hasSuffix("\n")
      && errors.count { $0 == "\n" } == 1
  }
}

/// A folder of its own, gone with its last owner.
final class Folder {
  private let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(
      path: "carousel-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of a file in the folder.
  subscript(name: String) -> String { url.appending(path: name).path }

  /// Writes a file, empty unless told otherwise.
  @discardableResult
  func create(_ name: String, _ bytes: some Sequence<UInt8> = []) throws -> URL {
    try Data(bytes).write(to: url.appending(path: name))
    return url.appending(path: name)
  }
}
