import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

@Suite struct RunFolderTests {
  @Test func foldersOfOneNameAreNumbered() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/runs/x"
    let folders = try (0..<3).map { _ in try RunFolder.new(path) }
    #expect(folders.map(\.path) == [path, path + "-2", path + "-3"])
  }

  @Test func oneRunAtATimeOwnsAFolder() throws {
    let folder = try TemporaryFolder()
    var owner: RunFolder? = try folder.run.owned()
    #expect(owner?.path == folder.run.path)
    expectError(.usage, folder.run.path, "process \(getpid())") { _ = try folder.run.owned() }
    expectError(.usage, folder.run.path, "under way") {
      _ = try TestRun.trainer(TestRun.settings(maxSteps: 1)).run(in: folder.run)
    }
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 1)).run(in: owner)
    owner = nil
    let again = try folder.run.owned(creating: false)
    expectError(.usage, folder.run.path) { _ = try folder.run.owned() }
    again.release()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.run.path).sorted()
    #expect(names == ["best.safetensors", "last.safetensors", "metrics.jsonl", "settings.json"])
  }

  @Test func aFolderInWhichNothingWasWrittenIsGone() throws {
    let folder = try TemporaryFolder()
    _ = try folder.run.owned()
    _ = try RunFolder.new(folder.run.path)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    expectError(.missingInput, folder.run.path) { _ = try folder.run.owned(creating: false) }
    expectError(.usage, "empty") { _ = try RunFolder("").owned() }
  }

  @Test func whatAKilledRunLeftIsRemoved() throws {
    let folder = try TemporaryFolder()
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 2))
    try FileManager.default.createDirectory(
      atPath: folder.run.path, withIntermediateDirectories: true)
    try Data([1]).write(to: URL(fileURLWithPath: folder.run.path + "/.carousel-1-2.tmp"))
    _ = try trainer.run(in: folder.run)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.run.path)
    #expect(names.count == 4)
  }
}
