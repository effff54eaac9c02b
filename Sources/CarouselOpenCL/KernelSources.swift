import CarouselModel
import Foundation
import Kernels

/// The OpenCL C sources: embedded in the binary, or read from the folder that the environment
/// variable `CAROUSEL_KERNELS` names, for whoever works on a kernel.
enum KernelSources {
  /// One text of the kernel files `roots`, in their order, and of what they include.
  ///
  /// `#include "folder/file.cl"`, a line of its own outside of every `#if`, stands for the text of that
  /// file where it comes first, and for nothing where the text has it already. The driver's messages
  /// name file and line.
  static func program(
    _ roots: [String], folder: String? = folder
  ) throws(CarouselError) -> String {
    var composition = Composition(folder: folder)
    for root in roots { try composition.add(root) }
    return composition.lines.joined(separator: "\n") + "\n"
  }

  /// The text of the embedded kernel file at `path`; nil where there is none.
  static func embedded(_ path: String) -> String? { embedded[path] }

  private static var folder: String? {
    let folder = ProcessInfo.processInfo.environment["CAROUSEL_KERNELS"]
    return folder == "" ? nil : folder
  }

  private static let embedded: [String: String] = {
    var files: [String: String] = [:]
    var index = 0
    while true {
      let file = carousel_kernel_file(index)
      guard let path = file.path, let text = file.text else { return files }
      files[String(cString: path)] = String(cString: text)
      index += 1
    }
  }()
}

/// A text that grows by a file and what it includes.
private struct Composition {
  let folder: String?
  var lines: [String] = []
  private var included: Set<String> = []

  init(folder: String?) { self.folder = folder }

  /// Adds the file at `path`, unless it is there; `place` is the line that includes it.
  mutating func add(_ path: String, includedAt place: String? = nil) throws(CarouselError) {
    guard included.insert(path).inserted else { return }
    let text = try text(of: path, includedAt: place)
    lines.append("#line 1 \"Kernels/\(path)\"")
    for (index, line) in text.components(separatedBy: "\n").enumerated() {
      guard line.hasPrefix("#include") else {
        lines.append(line)
        continue
      }
      let place = "\(folder ?? "Kernels")/\(path):\(index + 1)"
      let parts = line.components(separatedBy: "\"")
      guard parts.count == 3, parts[0] == "#include ", parts[2].isEmpty else {
        throw CarouselError(
          .badData, "\(place): expected #include \"folder/file.cl\", found '\(line)'")
      }
      try add(parts[1], includedAt: place)
      lines.append("#line \(index + 2) \"Kernels/\(path)\"")
    }
  }

  private func text(of path: String, includedAt place: String?) throws(CarouselError) -> String {
    if let folder {
      let file = folder + "/" + path
      if let text = try? String(contentsOfFile: file, encoding: .utf8) { return text }
      throw CarouselError(
        .missingInput,
        (place.map { "\($0) includes '\(path)', but " } ?? "")
          + "the kernel file \(file) cannot be read (CAROUSEL_KERNELS is set)")
    }
    if let text = KernelSources.embedded(path) { return text }
    preconditionFailure("\(place ?? "the host"): no kernel file '\(path)'")
  }
}
