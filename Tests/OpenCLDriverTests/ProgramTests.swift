import Foundation
import Synchronization
import Testing

@testable import OpenCLDriver

@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct ProgramTests {
  @Test func aSourceErrorCarriesTheBuildLog() throws {
    let context = try Machine.context()
    let error = try failure {
      _ = try context.program(
        name: "broken", source: "__kernel void broken() { no_such_variable = 1; }")
    }
    #expect(error.kind == .build)
    #expect(error.name.hasPrefix("CL_"))
    #expect(error.buildLog?.contains("no_such_variable") == true)
    #expect(error.description.contains("broken does not build on \(context.device.name)"))
  }

  @Test func aMissingKernelIsNamed() throws {
    let program = try Machine.context().program(name: "scale", source: Source.scale)
    let error = try failure { _ = try program.kernel("missing") }
    #expect(error.name == "CL_INVALID_KERNEL_NAME")
    #expect(
      error.description == "OpenCL failed with CL_INVALID_KERNEL_NAME (-46) while "
        + "looking for kernel missing in scale")
  }

  @Test func compilingIsToldAndItsEnd() throws {
    final class Told: Sendable {
      let names = Mutex<[String?]>([])
    }
    let told = Told()
    DriverActivity.observe { activity in
      if case .compiling(let program, let number) = activity {
        told.names.withLock { $0.append(number > 0 ? program : nil) }
      } else if activity == nil {
        told.names.withLock { $0.append(nil) }
      }
    }
    defer { DriverActivity.observe(nil) }
    let context = try Machine.context()
    for _ in 1...2 { _ = try context.program(name: "told", source: Source.scale) }
    let names = told.names.withLock { $0 }
    #expect(names.count { $0 == "told" } == 1)
    #expect(names.drop { $0 != "told" }.contains(nil))
  }

  @Test func sameSourceAndOptionsAreTheSameProgram() throws {
    let context = try Machine.context()
    let one = try context.program(name: "one", source: Source.scale, options: ["-DA=1"])
    let same = try context.program(name: "same", source: Source.scale, options: ["-DA=1"])
    let other = try context.program(name: "other", source: Source.scale, options: ["-DA=2"])
    #expect(one === same)
    #expect(one !== other)
  }
}

@Suite struct ProgramCacheTests {
  static let key = Array("device\0options\0source".utf8)
  static let binary: [UInt8] = (0..<200).map { UInt8($0 * 7 & 255) }

  @Test func onlyTheSameKeyFindsABinary() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url.appending(path: "made/when/needed"))
    #expect(cache.load(key: Self.key) == nil)
    cache.store(Self.binary, key: Self.key)
    #expect(cache.load(key: Self.key) == Self.binary)
    #expect(cache.load(key: Self.key + [0]) == nil)
    // A file of another key under this key's name, as a collision of hashes would leave it.
    let other = Array("another source".utf8)
    let file = try #require(cache.file(for: Self.key))
    let otherFile = try #require(cache.file(for: other))
    try FileManager.default.copyItem(at: file, to: otherFile)
    #expect(cache.load(key: other) == nil)
  }

  @Test func everyCutAndEveryFlippedByteIsNoticed() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url)
    cache.store(Self.binary, key: Self.key)
    let file = try #require(cache.file(for: Self.key))
    let whole = try Data(contentsOf: file)
    for length in 0..<whole.count {
      try whole.prefix(length).write(to: file)
      #expect(cache.load(key: Self.key) == nil, "cut to \(length) bytes")
    }
    for position in whole.indices {
      var damaged = whole
      damaged[position] ^= 0x10
      try damaged.write(to: file)
      #expect(cache.load(key: Self.key) == nil, "flipped byte \(position)")
    }
    try (whole + [0]).write(to: file)
    #expect(cache.load(key: Self.key) == nil)
    try whole.write(to: file)
    #expect(cache.load(key: Self.key) == Self.binary)
  }

  @Test func whatWasNotUsedForLongestGoesFirst() throws {
    let folder = try TemporaryFolder()
    let size = 32 + Self.key.count + 1 + Self.binary.count
    let cache = ProgramCache(folder: folder.url, limitBytes: 3 * size)
    let keys = (UInt8(0)..<5).map { Self.key + [$0] }
    for (age, key) in keys.enumerated() {
      cache.store(Self.binary, key: key)
      let file = try #require(cache.file(for: key))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: Double(age - 100))],
        ofItemAtPath: file.path)
    }
    #expect(cache.contents == ProgramCache.Contents(count: 5, bytes: 5 * size))
    #expect(cache.load(key: keys[0]) == Self.binary)
    cache.trim()
    #expect(keys.map { cache.load(key: $0) != nil } == [true, false, false, true, true])
    #expect(cache.contents == ProgramCache.Contents(count: 3, bytes: 3 * size))
    cache.trim()
    #expect(cache.contents.count == 3)
  }

  /// As PoCL's folder lies in the cache where it has no other.
  @Test func poclsProgramsCountAndGoToo() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url, limitBytes: 250)
    for (name, age) in [("AA/old", 3.0), ("AA/older", 4.0), ("BB/new", 0)] {
      let kernel = folder.url.appending(path: "pocl/\(name)/kernel")
      try FileManager.default.createDirectory(at: kernel, withIntermediateDirectories: true)
      for file in ["kernel/a.so", "program.bc"] {
        let url = folder.url.appending(path: "pocl/\(name)/\(file)")
        try Data(repeating: 1, count: 50).write(to: url)
      }
      for path in ["kernel/a.so", "program.bc", "kernel"] {
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSinceNow: -86_400 * age)],
          ofItemAtPath: folder.url.appending(path: "pocl/\(name)/\(path)").path)
      }
    }
    #expect(cache.contents.count == 3 && cache.contents.bytes >= 300)
    cache.trim()
    let left = { try FileManager.default.subpathsOfDirectory(atPath: folder.url.path) }
    #expect(try !left().contains("pocl/AA/older") && left().contains("pocl/BB/new/program.bc"))
    // What is of today stays, whatever the limit.
    ProgramCache(folder: folder.url, limitBytes: 0).trim()
    #expect(cache.contents.count == 1)
    #expect(try cache.clear().count == 1 && cache.contents.count == 0)
  }

  @Test func clearingLeavesWhatIsNoProgram() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url)
    cache.store(Self.binary, key: Self.key)
    for name in ["left.part", "tuning.json"] {
      try Data([1]).write(to: folder.url.appending(path: name))
    }
    #expect(try cache.clear().count == 2)
    #expect(cache.load(key: Self.key) == nil && cache.contents.count == 0)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["tuning.json"])
  }

  /// What others can write may be their program.
  @Test func aFolderThatOthersCanWriteIsNotUsed() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url)
    cache.store(Self.binary, key: Self.key)
    for (mode, isUsed) in [(0o777, false), (0o720, false), (0o755, true), (0o700, true)] {
      try FileManager.default.setAttributes(
        [.posixPermissions: mode], ofItemAtPath: folder.url.path)
      #expect((cache.load(key: Self.key) != nil) == isUsed, "\(mode)")
      #expect((cache.problem == nil) == isUsed)
      #expect(cache.isEnabled == isUsed)
      cache.store(Self.binary, key: Self.key + [0])
      #expect(cache.contents.count == (isUsed ? 2 : 0))
    }
    #expect(
      ProgramCache(folder: URL(filePath: "/dev/null")).problem == "/dev/null is not a folder")
  }

  @Test(.enabled(if: geteuid() == 0, "needs root"))
  func aFolderOfAnotherUserIsNotUsed() throws {
    let folder = try TemporaryFolder()
    let cache = ProgramCache(folder: folder.url)
    cache.store(Self.binary, key: Self.key)
    try #require(chown(folder.url.path, 12345, 12345) == 0)
    #expect(cache.load(key: Self.key) == nil)
    #expect(cache.problem?.hasSuffix("belongs to another user") == true)
  }

  @Test func aFolderThatCannotBeMadeIsIgnored() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "file")
    try Data([1]).write(to: file)
    let cache = ProgramCache(folder: file.appending(path: "below"))
    cache.store(Self.binary, key: Self.key)
    #expect(cache.load(key: Self.key) == nil)
  }

  @Test(arguments: [
    (["HOME": "/h"], "/h/.cache/carousel"),
    (["HOME": "/h", "XDG_CACHE_HOME": "/x"], "/x/carousel"),
    (["HOME": "/h", "XDG_CACHE_HOME": "/x", "CAROUSEL_CACHE": "/c"], "/c"),
    (["HOME": "/h", "XDG_CACHE_HOME": "", "CAROUSEL_CACHE": ""], "/h/.cache/carousel"),
    (["HOME": "/h", "CAROUSEL_CACHE": "off"], nil), ([:], nil),
  ])
  func theEnvironmentNamesTheFolder(environment: [String: String], path: String?) {
    #expect(ProgramCache(environment: environment).folder?.path() == path)
  }
}

@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct DiskCacheTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  /// Builds in a fresh context, runs the kernel, and tells whether the binary was used.
  func buildAndRun(options: [String] = []) throws -> Bool {
    let context = try Machine.context(cache: ProgramCache(folder: folder.url))
    let program = try context.program(name: "scale", source: Source.scale, options: options)
    let queue = try Queue(context: context)
    let buffer = try Buffer(context: context, byteCount: 12)
    try queue.write([1, -2, 3] as [Float], to: buffer)
    try queue.launch(
      try program.kernel("scale"), global: [3],
      arguments: [
        "x": .buffer(buffer), "y": .buffer(buffer), "factor": .float(3), "count": .uint32(3),
      ])
    #expect(try queue.read(buffer, as: Float.self, count: 3) == [3, -6, 9])
    return program.isFromDiskCache
  }

  var files: [URL] {
    get throws {
      try FileManager.default.contentsOfDirectory(at: folder.url, includingPropertiesForKeys: nil)
    }
  }

  @Test func theSecondRunUsesTheBinary() throws {
    #expect(try !buildAndRun())
    #expect(try files.count == 1)
    #expect(try buildAndRun())
    #expect(try !buildAndRun(options: ["-DOTHER=1"]))
    #expect(try files.count == 2)
  }

  @Test func aProgramIsKeptAsSoonAsItIsCompiled() throws {
    let context = try Machine.context(cache: ProgramCache(folder: folder.url))
    _ = try context.program(name: "scale", source: Source.scale)
    #expect(try files.count == 1)
  }

  @Test func aBinaryWithoutKernelsIsRebuilt() throws {
    let cache = ProgramCache(folder: folder.url)
    let device = try Machine.context().device
    func key(_ source: String) -> [UInt8] {
      ProgramKey(device: device, source: source, options: []).bytes
    }
    let source = "float twice(float x) { return 2 * x; }"
    _ = try Machine.context(cache: cache).program(name: "none", source: source)
    cache.store(try #require(cache.load(key: key(source))), key: key(Source.scale))
    #expect(try !buildAndRun())
    #expect(try buildAndRun())
  }

  @Test func aDamagedFileIsRebuilt() throws {
    #expect(try !buildAndRun())
    let file = try #require(try files.first)
    let whole = try Data(contentsOf: file)
    var flipped = whole
    flipped[whole.count - 100] ^= 1
    for damaged in [flipped, whole.prefix(whole.count / 2), Data()] {
      try damaged.write(to: file)
      #expect(try !buildAndRun())
      #expect(try buildAndRun())
    }
  }

  @Test func aBinaryThatTheDriverRefusesIsRebuilt() throws {
    let context = try Machine.context()
    let key = ProgramKey(device: context.device, source: Source.scale, options: [])
    ProgramCache(folder: folder.url).store(Array("no program".utf8), key: key.bytes)
    #expect(try !buildAndRun())
    #expect(try buildAndRun())
  }

  @Test func argumentsOfACachedProgramAreStillKnown() throws {
    for _ in 0..<2 {
      let context = try Machine.context(cache: ProgramCache(folder: folder.url))
      let program = try context.program(name: "scale", source: Source.scale)
      let parameters = try program.kernel("scale").parameters
      #expect(parameters?.map(\.name) == ["x", "y", "factor", "count"])
    }
  }
}
