import CarouselModel
import Foundation
import Kernels

/// The OpenCL C sources: embedded in the binary, or read from the folder that the environment
/// variable `CAROUSEL_KERNELS` names, for whoever works on a kernel.
enum KernelSources {
  /// The text of the kernel file `name`, from `folder` where one is set.
  static func text(_ name: String, folder: String? = folder) throws(CarouselError) -> String {
    if let folder {
      let path = folder + "/" + name
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw CarouselError(
          .missingInput, "the kernel file \(path) cannot be read (CAROUSEL_KERNELS is set)")
      }
      return text
    }
    guard let text = embedded[name] else { preconditionFailure("no kernel file \(name)") }
    return text
  }

  private static var folder: String? {
    let folder = ProcessInfo.processInfo.environment["CAROUSEL_KERNELS"]
    return folder == "" ? nil : folder
  }

  private static let embedded: [String: String] = {
    var files: [String: String] = [:]
    var index = 0
    while true {
      let file = carousel_kernel_file(index)
      guard let name = file.name, let text = file.text else { return files }
      let bytes = UnsafeBufferPointer(start: text, count: file.length)
      files[String(cString: name)] = String(decoding: bytes, as: UTF8.self)
      index += 1
    }
  }()
}
