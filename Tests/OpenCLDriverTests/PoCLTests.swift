import Foundation
import Testing

@testable import OpenCLDriver

@Suite struct PoCLTests {
  let folder: TemporaryFolder
  let root: String

  init() throws {
    folder = try TemporaryFolder()
    root = folder.url.path(percentEncoded: false)
  }

  private func choose(
    _ environment: [String: String], caches: String? = nil
  ) -> PoCL.Folder {
    PoCL.choose(environment: environment, caches: caches)
  }

  @Test func itsOwnChoiceStaysWhereItCanBeWritten() {
    #expect(choose(["HOME": root]) == PoCL.Folder(path: root + "/.cache/pocl/kcache"))
    #expect(
      choose(["HOME": "/dev/null", "XDG_CACHE_HOME": root])
        == PoCL.Folder(path: root + "/pocl/kcache"))
    #expect(choose(["HOME": "/dev/null", "POCL_CACHE_DIR": root]) == PoCL.Folder(path: root))
    // Nothing is made before PoCL makes it.
    #expect(!FileManager.default.fileExists(atPath: root + "/.cache"))
  }

  @Test(arguments: [["HOME": "/dev/null"], [:], ["XDG_CACHE_HOME": "/dev/null/x"]])
  func whereItCannotBeWrittenTheCacheOfCarouselHoldsIt(environment: [String: String]) {
    let path = root + "/carousel/pocl"
    #expect(
      choose(environment, caches: root + "/carousel") == PoCL.Folder(path: path, isOurs: true))
    let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o700)
  }

  @Test func withoutAnyCacheTheFolderForTemporaryFilesHoldsIt() {
    let path = "\(root)/carousel-\(geteuid())/pocl"
    #expect(choose(["TMPDIR": root]) == PoCL.Folder(path: path, isOurs: true))
  }

  @Test func aFolderThatOthersCanWriteIsLeftOut() throws {
    let open = "\(root)/carousel-\(geteuid())"
    try FileManager.default.createDirectory(
      atPath: open, withIntermediateDirectories: true)
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open)
    let chosen = choose(["TMPDIR": root])
    #expect(!chosen.path.hasPrefix(root))
  }

  @Test func anEmptyNameIsReplacedAndOneThatIsWrongIsExplained() {
    let replaced = choose(["HOME": root, "POCL_CACHE_DIR": ""])
    #expect(replaced == PoCL.Folder(path: root + "/.cache/pocl/kcache", isOurs: true))
    let wrong = choose(["HOME": root, "POCL_CACHE_DIR": "/dev/null/x"])
    #expect(wrong.path == "/dev/null/x" && !wrong.isOurs)
    #expect(wrong.problem?.contains("/dev/null/x, which POCL_CACHE_DIR names") == true)
  }
}
