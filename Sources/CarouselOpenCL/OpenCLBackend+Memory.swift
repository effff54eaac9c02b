import CarouselModel
import OpenCLDriver

extension OpenCLBackend {
  private static let elementBytes = MemoryLayout<Float>.stride

  /// Takes zeroed memory from the pool; throws where the device has no room.
  public func makeBuffer(count: Int) throws -> Buffer {
    let buffer = try launcher.scratch(count: count)
    try launcher.queue.fill(buffer, with: Float(0))
    return buffer
  }

  /// A sub-buffer, which keeps its parent alive; `offset` is a multiple of `sliceAlignment`.
  public func slice(_ buffer: Buffer, offset: Int, count: Int) throws -> Buffer {
    try buffer.slice(
      byteOffset: offset * Self.elementBytes, byteCount: max(count, 1) * Self.elementBytes)
  }

  /// Rounds to Float32 and queues the write; `values` is copied before the call returns.
  public func write(_ values: [Double], to buffer: Buffer) throws {
    try launcher.queue.write(values.map(Float.init), to: buffer)
  }

  /// Waits for all queued work, then reads the first `count` elements.
  public func read(_ buffer: Buffer, count: Int) throws -> [Double] {
    try launcher.prepareToWait()
    return try launcher.queue.read(buffer, as: Float.self, count: count).map(Double.init)
  }

  /// Queues a copy of the first `count` elements.
  public func copy(_ source: Buffer, to destination: Buffer, count: Int) throws {
    try launcher.queue.copy(source, to: destination, byteCount: count * Self.elementBytes)
  }

  /// Queues a fill of the first `count` elements.
  public func fill(_ buffer: Buffer, count: Int, with value: Double) throws {
    try launcher.queue.fill(buffer, with: Float(value), byteCount: count * Self.elementBytes)
  }

  /// Takes zeroed memory from the pool: an index is as large as a float.
  public func makeIndexBuffer(count: Int) throws -> IndexBuffer { try makeBuffer(count: count) }

  /// Queues the write; `values` is copied before the call returns.
  public func write(_ values: [Int32], to buffer: IndexBuffer) throws {
    try launcher.queue.write(values, to: buffer)
  }

  /// Waits until the queue is empty.
  public func synchronize() throws { try launcher.finish() }
}
