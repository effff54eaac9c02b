import CarouselFormats
import CarouselModel
import Foundation
import Testing

@Suite struct AtomicFileTests {
  private static let old: [UInt8] = Array("the old checkpoint".utf8)

  @Test func aFileIsCreatedAndReplaced() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out.json")
    try AtomicFile.write("{\"ä\":1}", to: path)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "{\"ä\":1}")
    try AtomicFile.write(Data([1, 2, 3]), to: path)
    #expect(try [UInt8](contentsOfFile: path) == [1, 2, 3])
    #expect(try folder.names == ["out.json"])
  }

  @Test func whatAKilledWriterLeftIsRemovedAndWhatALivingOneWritesStays() throws {
    let folder = try TemporaryFolder()
    let living = try folder.file(".carousel-7-1.tmp", holding: Self.old)
    for name in [".carousel-9-2.tmp", "carousel-9-2.tmp", ".carousel-rc"] {
      _ = try folder.file(name, holding: Self.old)
    }
    let descriptor = open(living, O_RDONLY)
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    AtomicFile.removeUnfinished(in: folder.path)
    #expect(try folder.names == [".carousel-7-1.tmp", ".carousel-rc", "carousel-9-2.tmp"])
    close(descriptor)
    AtomicFile.removeUnfinished(in: folder.path)
    #expect(try folder.names == [".carousel-rc", "carousel-9-2.tmp"])
  }

  @Test func permissionsAndLinksStay() throws {
    let folder = try TemporaryFolder()
    let (file, link) = (try folder.file("file", holding: Self.old), folder.file("link"))
    #expect(chmod(file, 0o640) == 0)
    #expect(symlink("file", link) == 0)
    try AtomicFile.write([9, 8], to: link)
    #expect(try [UInt8](contentsOfFile: file) == [9, 8])
    let attributes = try FileManager.default.attributesOfItem(atPath: file)
    #expect(attributes[.posixPermissions] as? Int == 0o640)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "file")
    #expect(try folder.names == ["file", "link"])
  }

  @Test func aWriteThatCannotBeginNamesTheFile() throws {
    let folder = try TemporaryFolder()
    let file = try folder.file("file", holding: Self.old)
    for (path, words) in [
      (folder.file("none/out"), "No such file or directory"), (file + "/out", "Not a directory"),
      (folder.path, "Is a directory"),
    ] {
      let error = failure { () throws(CarouselError) in try AtomicFile.write([1], to: path) }
      #expect(
        error == CarouselError(.writeFailed, "\(path): the file cannot be written: \(words)"))
    }
    #expect(try [UInt8](contentsOfFile: file) == Self.old)
    #expect(try folder.names == ["file"])
  }

  @Test(.disabled(if: geteuid() == 0, "root writes into every folder"))
  func aFolderWithoutPermissionIsNamed() throws {
    let folder = try TemporaryFolder()
    #expect(chmod(folder.path, 0o500) == 0)
    let path = folder.file("out")
    let error = failure { () throws(CarouselError) in try AtomicFile.write([1], to: path) }
    #expect(
      error == CarouselError(.writeFailed, "\(path): the file cannot be written: Permission denied")
    )
  }

  /// A limit on the size of files stands in for a full disk: the write fails in the middle.
  ///
  /// In a process of its own, as the limit is that of all its threads.
  @Test func aWriteThatFailsInTheMiddleLeavesTheOldFile() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let path = try folder.file("out", holding: Self.old)
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit()
      try #require(getrlimit(fileSize, &limit) == 0)
      limit.rlim_cur = 1 << 20
      try #require(setrlimit(fileSize, &limit) == 0)
      let bytes = [UInt8](repeating: 7, count: 1 << 20 + 1)
      let error = failure { () throws(CarouselError) in try AtomicFile.write(bytes, to: path) }
      #expect(
        error == CarouselError(.writeFailed, "\(path): the file cannot be written: File too large"))
      #expect(try [UInt8](contentsOfFile: path) == Self.old)
      #expect(try folder.names == ["out"])
    }
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
  func devicesAreWrittenToAndStayDevices() throws {
    let error = failure { () throws(CarouselError) in try AtomicFile.write([1], to: "/dev/full") }
    #expect(error?.kind == .writeFailed)
    #expect(error?.message == "/dev/full: the file cannot be written: No space left on device")
    try AtomicFile.write([1], to: "/dev/null")
    var status = stat()
    #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
  }
}

#if canImport(Glibc)
private let fileSize = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
#else
private let fileSize = RLIMIT_FSIZE
#endif
