import CarouselModel

/// The specification of every operation: plain loops on the host, all values and sums in Float64.
///
/// It is the truth that a device is compared with, made to be read beside the papers, not to be
/// fast. An operation is done when its call returns. Indices out of range and buffers that are too
/// small stop the program. NaN is never masked: what depends on it becomes NaN.
public final class ReferenceBackend: Backend {
  /// Float64 elements in host memory.
  public typealias Buffer = ReferenceBuffer<Double>
  /// Int32 elements in host memory.
  public typealias IndexBuffer = ReferenceBuffer<Int32>
  /// What the cells keep and the cell states of a layer's forward pass.
  public typealias RecurrentReserve = ReferenceReserve

  /// `reference`.
  public let name = "reference"
  /// Float64.
  public let elementType = ElementType.float64
  /// Where a slice may begin: offsets are multiples of this many elements.
  public let sliceAlignment: Int

  /// Makes the reference; `sliceAlignment` mimics a device that asks for aligned slices.
  public init(sliceAlignment: Int = 1) {
    precondition(sliceAlignment > 0)
    self.sliceAlignment = sliceAlignment
  }

  /// Allocates `count` elements, all 0; throws where there is no memory for them.
  public func makeBuffer(count: Int) throws -> Buffer { try Buffer(count: count) }

  /// A view of `count` elements from `offset` on, which keeps its parent alive.
  public func slice(_ buffer: Buffer, offset: Int, count: Int) -> Buffer {
    precondition(offset % sliceAlignment == 0, "a slice at \(offset), not aligned")
    return Buffer(buffer, offset: offset, count: count)
  }

  /// Overwrites the first `values.count` elements.
  public func write(_ values: [Double], to buffer: Buffer) {
    _ = buffer.first(values.count).update(fromContentsOf: values)
  }

  /// The first `count` elements.
  public func read(_ buffer: Buffer, count: Int) -> [Double] { Array(buffer.first(count)) }

  /// Copies the first `count` elements.
  public func copy(_ source: Buffer, to destination: Buffer, count: Int) {
    _ = destination.first(count).update(fromContentsOf: source.first(count))
  }

  /// Sets the first `count` elements to `value`.
  public func fill(_ buffer: Buffer, count: Int, with value: Double) {
    buffer.first(count).update(repeating: value)
  }

  /// Allocates room for `count` indices, all 0.
  public func makeIndexBuffer(count: Int) throws -> IndexBuffer { try IndexBuffer(count: count) }

  /// Overwrites the first `values.count` indices.
  public func write(_ values: [Int32], to buffer: IndexBuffer) {
    _ = buffer.first(values.count).update(fromContentsOf: values)
  }

  /// Returns at once: every operation is done when its call returns.
  public func synchronize() {}
}
