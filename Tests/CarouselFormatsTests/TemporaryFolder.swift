import CarouselModel
import Foundation

/// A folder of its own for one test, removed with everything in it when the test ends.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "carousel-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in the folder.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a text into the folder and returns the file's path.
  func write(_ text: String, _ name: String = "data.csv") throws -> String {
    let path = path + "/" + name
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  /// Writes a file into the folder and returns its path.
  func file(_ name: String, holding bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// The names of all files in the folder.
  var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
  }
}

/// What `body` throws; nil where it does not.
func failure(_ body: () throws(CarouselError) -> Void) -> CarouselError? {
  do throws(CarouselError) {
    try body()
    return nil
  } catch {
    return error
  }
}

/// A safetensors file from the text of its header and its data.
func safetensors(_ header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
  let text = Array(header.utf8)
  let prefix = withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) }
  return prefix + text + data
}
