import CarouselModel
import Foundation
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

@Suite struct KernelSourcesTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Kernels").standardizedFileURL

  @Test func everyKernelFileIsEmbeddedAsItStandsOnDisk() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
      .filter { $0.hasSuffix(".cl") }
    #expect(files.count > 10)
    for file in files {
      let onDisk = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
      #expect(try KernelSources.text(file, folder: nil) == onDisk, "\(file)")
    }
  }

  @Test func aFolderTakesTheEmbeddedFilesPlace() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try "// mine".write(to: folder.appending(path: "vector.cl"), atomically: true, encoding: .utf8)
    #expect(try KernelSources.text("vector.cl", folder: folder.path) == "// mine")
    let error = #expect(throws: CarouselError.self) {
      try KernelSources.text("lstm.cl", folder: folder.path)
    }
    #expect(error?.kind == .missingInput)
    #expect(error?.message.contains(folder.path + "/lstm.cl") == true)
  }

  /// In a process of its own, whose environment is its own.
  @Test(.device) func aMissingFolderStopsTheBackendWithOneSentence() async {
    await #expect(processExitsWith: .exitCode(66)) {
      setenv("CAROUSEL_KERNELS", "/nowhere/kernels", 1)
      do {
        _ = try OpenCLBackend(device: Machine.device)
      } catch let error as CarouselError where error.message.contains("/nowhere/kernels/") {
        exit(error.kind.rawValue)
      }
    }
  }
}
