import Foundation
import Testing

@testable import OpenCLDriver

@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct BufferTests {
  let context: Context
  let queue: Queue
  let alignment: Int

  init() throws {
    context = try Machine.context()
    queue = try Queue(context: context)
    alignment = context.device.baseAddressAlignmentBytes
  }

  /// The second takes pages of 2 MiB on a CPU, and a part of one.
  @Test(arguments: [1000, 1_300_001]) func whatIsWrittenIsRead(count: Int) throws {
    let values = (0..<count).map { Float($0) * 0.5 - 100 }
    let buffer = try Buffer(context: context, byteCount: 4 * count)
    try queue.write(values, to: buffer)
    #expect(try queue.read(buffer, as: Float.self, count: count) == values)
    let offset = 4 * (count - 500) / alignment * alignment
    let slice = try buffer.slice(byteOffset: offset, byteCount: 40)
    let expected = Array(values[(offset / 4)...].prefix(10))
    #expect(try queue.read(slice, as: Float.self, count: 10) == expected)
    try queue.write([7, -8] as [Float], to: buffer, byteOffset: 12)
    #expect(
      try queue.read(buffer, byteOffset: 8, as: Float.self, count: 4)
        == [values[2], 7, -8, values[5]])
  }

  @Test(arguments: [0, 1, 5000]) func whatIsReadLaterIsWhatWasThereThen(count: Int) throws {
    let values = (0..<count).map { Float($0) + 0.25 }
    let buffer = try Buffer(context: context, byteCount: 4 * max(count, 1))
    try queue.write(values, to: buffer)
    func readLater() throws -> (read: PendingRead, memory: NSMutableData) {
      let memory = NSMutableData(length: 4 * count) ?? NSMutableData()
      let bytes = UnsafeMutableRawBufferPointer(start: memory.mutableBytes, count: 4 * count)
      return (try queue.readLater(buffer, into: bytes, of: memory), memory)
    }
    let (read, memory) = try readLater()
    // Nobody waits for this one.
    _ = try readLater()
    try queue.fill(buffer, with: Float(7))
    for _ in 0..<2 {
      try read.wait()
      #expect(memory == values.withUnsafeBytes { NSData(bytes: $0.baseAddress, length: 4 * count) })
    }
    #expect(try queue.read(buffer, as: Float.self, count: count).allSatisfy { $0 == 7 })
  }

  /// A few bytes go with the command, and what they were read from is overwritten at once.
  @Test func writesOfEverySizeTouchOnlyTheirRange() throws {
    let room = 100
    let buffer = try Buffer(context: context, byteCount: 4 * room)
    for count in 1...33 {
      for first in [0, count, 32, 3] {
        try queue.fill(buffer, with: Int32(-1))
        var values = (0..<Int32(count)).map { $0 + 7 }
        try queue.write(values, to: buffer, byteOffset: 4 * first)
        for i in values.indices { values[i] = 0 }
        var expected = [Int32](repeating: -1, count: room)
        expected.replaceSubrange(first..<first + count, with: (0..<Int32(count)).map { $0 + 7 })
        #expect(try queue.read(buffer, as: Int32.self, count: room) == expected)
      }
    }
    let parent = try Buffer(context: context, byteCount: 2 * alignment)
    try queue.fill(parent, with: Int32(0))
    let slice = try parent.slice(byteOffset: alignment, byteCount: alignment)
    for (offset, byte) in [(0, 1), (3, 2), (6, 3)] as [(Int, UInt8)] {
      try queue.write([byte], to: slice, byteOffset: offset)
    }
    try queue.write([0x0504] as [UInt16], to: slice, byteOffset: 4)
    #expect(try queue.read(parent, as: Int32.self, count: 1) == [0])
    #expect(
      try queue.read(slice, as: UInt8.self, count: 8) == [1, 0, 0, 2, 4, 5, 3, 0])
  }

  @Test func fillAndCopyTouchOnlyTheirRange() throws {
    let buffer = try Buffer(context: context, byteCount: 40)
    let other = try Buffer(context: context, byteCount: 40)
    try queue.fill(buffer, with: Int32(-5))
    try queue.fill(other, with: Float(1.5))
    #expect(try queue.read(other, as: Float.self, count: 10) == [Float](repeating: 1.5, count: 10))
    try queue.fill(other, with: Int32(9))
    try queue.fill(other, with: Int32(3), byteOffset: 4, byteCount: 8)
    try queue.copy(buffer, byteOffset: 8, to: other, destinationOffset: 20, byteCount: 12)
    #expect(
      try queue.read(other, as: Int32.self, count: 10) == [9, 3, 3, 9, 9, -5, -5, -5, 9, 9])
  }

  @Test func whatIsDerivedIsMadeAgainOnlyOnceItsSourceMayHaveChanged() throws {
    let parent = try Buffer(context: context, byteCount: 3 * alignment)
    let slice = try parent.slice(byteOffset: 0, byteCount: alignment)
    let scale = try context.program(name: "scale", source: Source.scale).kernel("scale")
    let other = try Buffer(context: context, byteCount: alignment)
    // What was offered each time that something was made.
    var makes: [ObjectIdentifier?] = []
    func derive(_ key: String) throws -> Buffer {
      try slice.derived(key) { stale in
        makes.append(stale.map(ObjectIdentifier.init))
        return try stale ?? Buffer(context: context, byteCount: 4)
      }
    }
    func launch(from x: Buffer, to y: Buffer) throws {
      try queue.launch(
        scale, global: [1],
        arguments: ["x": .buffer(x), "y": .buffer(y), "factor": .float(1), "count": .uint32(1)])
    }
    let first = try derive("a")
    #expect(try derive("a") === first && makes.count == 1)
    _ = try derive("b")
    #expect(makes.count == 2)
    try launch(from: slice, to: other)
    _ = try queue.read(slice, as: Float.self, count: 1)
    #expect(try derive("a") === first && makes.count == 2)
    // Each of these may have changed it; the memory of before is offered again.
    for change in [
      { try launch(from: other, to: slice) }, { try launch(from: other, to: parent) },
      { try queue.write([1] as [Float], to: parent) }, { try queue.fill(slice, with: Float(2)) },
      { try queue.copy(other, to: slice, byteCount: 4) },
    ] {
      let before = makes.count
      try change()
      #expect(try derive("a") === first && makes.count == before + 1)
      #expect(makes[before] == ObjectIdentifier(first))
    }
  }

  @Test func slicesAliasTheirParent() throws {
    let count = alignment  // floats: four slices' worth of bytes
    let buffer = try Buffer(context: context, byteCount: 4 * count)
    try queue.write((0..<Int32(count)).map { $0 }, to: buffer)
    let slice = try buffer.slice(byteOffset: alignment, byteCount: 3 * alignment)
    let inner = try slice.slice(byteOffset: alignment, byteCount: alignment + 4)
    let first = Int32(alignment / 4)
    #expect(try queue.read(slice, as: Int32.self, count: 2) == [first, first + 1])
    #expect(try queue.read(inner, as: Int32.self, count: 2) == [2 * first, 2 * first + 1])
    try queue.fill(inner, with: Int32(-1))
    try queue.write([-2] as [Int32], to: inner, byteOffset: 4)
    let all = try queue.read(buffer, as: Int32.self, count: count)
    let begin = count / 2
    #expect(all[begin - 1] == Int32(begin - 1) && all[begin] == -1 && all[begin + 1] == -2)
    #expect(all[begin + alignment / 4] == -1)
    #expect(all[begin + alignment / 4 + 1] == Int32(begin + alignment / 4 + 1))
  }

  @Test func slicesOfOneParentAreCopiedAndComputedApart() throws {
    let parent = try Buffer(context: context, byteCount: 2 * alignment)
    let x = try parent.slice(byteOffset: 0, byteCount: alignment)
    let y = try parent.slice(byteOffset: alignment, byteCount: alignment)
    let count = alignment / 4
    try queue.write((0..<count).map { Float($0) + 0.25 }, to: x)
    let program = try context.program(name: "scale", source: Source.scale)
    try queue.launch(
      try program.kernel("scale"), global: [count],
      arguments: ["x": .buffer(x), "y": .buffer(y), "factor": .float(2), "count": .uint32(2)])
    try queue.copy(x, to: y, destinationOffset: alignment - 4, byteCount: 4)
    let all = try queue.read(parent, as: Float.self, count: 2 * count)
    #expect(all[count] == 0.5 && all[count + 1] == 2.5 && all[2 * count - 1] == 0.25)
  }

  @Test func aSliceKeepsItsParentAlive() throws {
    var parent: Buffer? = try Buffer(context: context, byteCount: 2 * alignment)
    var slice = try parent?.slice(byteOffset: alignment, byteCount: alignment)
    parent = nil
    #expect(context.liveBytes == 2 * alignment)
    let view = try #require(slice)
    try queue.fill(view, with: Float(4))
    #expect(try queue.read(view, as: Float.self, count: 1) == [4])
    slice = nil
    withExtendedLifetime(view) {}
  }

  @Test func theAccountFollowsBuffers() throws {
    var buffer: Buffer? = try Buffer(context: context, byteCount: 1000)
    #expect(context.liveBytes == 1000)
    let another = try Buffer(context: context, byteCount: 24)
    #expect(context.liveBytes == 1024)
    #expect(buffer?.byteCount == 1000)
    buffer = nil
    #expect(context.liveBytes == another.byteCount)
  }

  @Test func aBufferBeyondTheLimitNamesDeviceAndBytes() throws {
    let limit = context.device.maxAllocationBytes
    let error = try failure { _ = try Buffer(context: context, byteCount: limit + 1) }
    #expect(error.kind == .memory)
    for part in [context.device.name, "\(limit)", "\(limit + 1)"] {
      #expect(error.description.contains(part))
    }
    #expect(context.liveBytes == 0)
  }

  /// PoCL ends the process where it finds no memory for a buffer that it made before.
  @Test(.enabled(if: Machine.isPoCL, "a limit of PoCL's"))
  func memoryThatTheSystemRefusesIsAnError() async {
    await #expect(processExitsWith: .success) {
      let context = try Machine.context()
      let queue = try Queue(context: context)
      func fillBuffer(_ byteCount: Int) throws -> Buffer {
        let buffer = try Buffer(context: context, byteCount: byteCount)
        try queue.fill(buffer, with: Float(1))
        try queue.finish()
        return buffer
      }
      _ = try fillBuffer(1 << 20)
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).prefix {
        $0 != " "
      }
      let bytes = try #require(rlim_t(pages)) * 4096 + 64 << 20
      var limit = rlimit(rlim_cur: bytes, rlim_max: bytes)
      try #require(setrlimit(__rlimit_resource_t(9), &limit) == 0)  // RLIMIT_AS
      var buffers: [Buffer] = []
      let error = try failure {
        for count in 0..<1000 { buffers.append(try fillBuffer(count % 2 == 0 ? 1 << 20 : 4 << 20)) }
      }
      try #require(error.kind == .memory && !buffers.isEmpty)
    }
  }

  @Test func moreThanTheMemoryIsRefusedThoughTheDriverMightGrantIt() throws {
    let context = try Machine.context(memoryBytes: 10_000)
    let buffers = try (0..<3).map { _ in try Buffer(context: context, byteCount: 3000) }
    let error = try failure { _ = try Buffer(context: context, byteCount: 1001) }
    #expect(error.kind == .memory)
    for part in [context.device.name, "1001", "9000", "10000"] {
      #expect(error.description.contains(part))
    }
    #expect(context.liveBytes == 9000 && buffers.count == 3)
    #expect(try Buffer(context: context, byteCount: 1000).byteCount == 1000)
  }
}

@Suite struct SizeClassTests {
  @Test func classesWasteAnEighthAtMost() {
    for count in Array(1...5000) + [1 << 20, (1 << 20) + 1, 3_000_000_001] {
      let size = BufferPool.sizeClass(count)
      #expect(size >= count)
      #expect(size == 256 || size - count <= count / 8)
      #expect(BufferPool.sizeClass(size) == size)
    }
  }
}

@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct BufferPoolTests {
  let context: Context

  init() throws {
    context = try Machine.context()
  }

  @Test func memoryComesBackAndIsLentAgain() throws {
    let pool = BufferPool(context: context)
    var first: Buffer? = try pool.take(1000)
    let handle = first?.handle
    let live = context.liveBytes
    #expect(pool.idleBytes == 0 && live >= 1000)
    first = nil
    #expect(pool.idleBytes == live && context.liveBytes == live)
    let second = try pool.take(1001)
    #expect(second.handle == handle && second.byteCount == 1001)
    #expect(context.liveBytes == live && pool.idleBytes == 0)
    let third = try pool.take(1000)
    #expect(third.handle != second.handle)
  }

  @Test func aSliceHoldsMemoryBackFromThePool() throws {
    let pool = BufferPool(context: context)
    var slice: Buffer? = try pool.take(4096).slice(byteOffset: 0, byteCount: 64)
    #expect(pool.idleBytes == 0)
    #expect(slice?.byteCount == 64)
    slice = nil
    #expect(pool.idleBytes == 4096)
  }

  @Test func theLimitAndPurgeReleaseMemory() throws {
    let pool = BufferPool(context: context, idleLimitBytes: 3000)
    var buffers = [try pool.take(2048), try pool.take(2048)]
    buffers.removeAll()
    #expect(pool.idleBytes == 2048 && context.liveBytes == 2048)
    pool.purge()
    #expect(pool.idleBytes == 0 && context.liveBytes == 0)
    #expect(buffers.isEmpty)
  }

  @Test func idleMemoryMakesRoomForWhatWouldNotFit() throws {
    let context = try Machine.context(memoryBytes: 10_000)
    let pool = BufferPool(context: context, idleLimitBytes: 10_000)
    var lent = [try pool.take(4096), try pool.take(4096)]
    lent.removeAll()
    #expect(pool.idleBytes == 8192)
    // One byte into the next class, so that no idle buffer fits.
    lent.append(try pool.take(4097))
    #expect(lent.count == 1 && pool.idleBytes == 0)
    #expect(context.liveBytes == 4097)
  }

  @Test func aPoolThatGoesLeavesNothing() throws {
    var pool: BufferPool? = BufferPool(context: context)
    var buffer = try pool?.take(512)
    pool = nil
    #expect(buffer?.byteCount == 512)
    #expect(context.liveBytes == 512)
    buffer = nil
    #expect(context.liveBytes == 0)
  }
}
