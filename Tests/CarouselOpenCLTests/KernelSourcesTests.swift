import CarouselModel
import Foundation
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

@Suite struct KernelSourcesTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Kernels").standardizedFileURL

  /// The kernel files on disk, by their paths in the folder.
  static let files: [String] = {
    let paths = try? FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return (paths ?? []).filter { $0.hasSuffix(".cl") }.sorted()
  }()

  /// The files of each program of `programs.txt`.
  static func listedPrograms() throws -> [[String]] {
    let text = try String(contentsOf: folder.appending(path: "programs.txt"), encoding: .utf8)
    return text.split(separator: "\n").filter { $0.contains(".cl;") }.map { line in
      line.prefix { $0 != ";" }.split(separator: " ").map(String.init)
    }
  }

  /// A folder of kernel files with these texts.
  private func makeFolder(_ texts: [String: String]) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    for (path, text) in texts {
      let file = folder.appending(path: path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    return folder
  }

  @Test func everyKernelFileIsEmbeddedAsItStandsOnDisk() throws {
    #expect(Self.files.count > 30)
    for file in Self.files {
      let onDisk = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
      #expect(KernelSources.embedded(file) == onDisk, "\(file)")
    }
  }

  @Test func everyKernelFileIsInAProgramThatIsChecked() throws {
    let text = try Self.listedPrograms().map { try KernelSources.program($0, folder: nil) }.joined()
    for file in Self.files { #expect(text.contains("#line 1 \"Kernels/\(file)\""), "\(file)") }
  }

  @Test func aFileIsIncludedOnceAndBeforeWhatFollows() throws {
    let folder = try makeFolder([
      "ops/a.cl": "// a\n#include \"ops/b.cl\"\n#include \"ops/c.cl\"\nint a;",
      "ops/b.cl": "#include \"ops/c.cl\"\nint b;", "ops/c.cl": "int c;", "ops/d.cl": "int d;",
    ])
    defer { try? FileManager.default.removeItem(at: folder) }
    let text = try KernelSources.program(
      ["ops/a.cl", "ops/c.cl", "ops/d.cl"], folder: folder.path)
    #expect(
      text == """
        #line 1 "Kernels/ops/a.cl"
        // a
        #line 1 "Kernels/ops/b.cl"
        #line 1 "Kernels/ops/c.cl"
        int c;
        #line 2 "Kernels/ops/b.cl"
        int b;
        #line 3 "Kernels/ops/a.cl"
        #line 4 "Kernels/ops/a.cl"
        int a;
        #line 1 "Kernels/ops/d.cl"
        int d;

        """)
  }

  @Test func aFolderTakesTheEmbeddedFilesPlace() throws {
    let folder = try makeFolder(["common/vector.cl": "// mine"])
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(
      try KernelSources.program(["common/vector.cl"], folder: folder.path).contains("// mine\n"))
    let error = #expect(throws: CarouselError.self) {
      try KernelSources.program(["cells/lstm.cl"], folder: folder.path)
    }
    #expect(error?.kind == .missingInput)
    #expect(error?.message.contains(folder.path + "/cells/lstm.cl") == true)
  }

  @Test(arguments: [
    ("#include \"ops/b.cl\"", CarouselError.Kind.missingInput, "ops/b.cl"),
    ("#include <ops/b.cl>", .badData, "#include \"folder/file.cl\""),
  ])
  func aWrongIncludeIsNamedByFileAndLine(
    line: String, kind: CarouselError.Kind, words: String
  ) throws {
    let folder = try makeFolder(["ops/a.cl": "int a;\n" + line])
    defer { try? FileManager.default.removeItem(at: folder) }
    let error = #expect(throws: CarouselError.self) {
      try KernelSources.program(["ops/a.cl"], folder: folder.path)
    }
    #expect(error?.kind == kind)
    #expect(error?.message.contains(folder.path + "/ops/a.cl:2") == true)
    #expect(error?.message.contains(words) == true)
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
