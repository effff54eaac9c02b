/// Memory of the host that a device or another process may still read or write when a call has returned.
///
/// It is kept from one transfer to the next, since fresh memory costs more than the copy. A transfer holds it until
/// it is done, and forever where nobody can know whether it is.
public final class TransferMemory {
  /// All of it; what it holds at first is undefined.
  public private(set) var bytes: UnsafeMutableRawBufferPointer

  /// Allocates so many bytes.
  public init(byteCount: Int = 0) {
    bytes = .allocate(byteCount: byteCount, alignment: 64)
  }

  /// Allocates a copy of numbers.
  convenience public init<Value: BitwiseCopyable>(_ values: [Value]) {
    self.init(byteCount: values.count * MemoryLayout<Value>.stride)
    values.withUnsafeBytes { bytes.copyMemory(from: $0) }
  }

  deinit { bytes.deallocate() }

  /// Makes room for so many bytes; what it held is lost where it grows.
  ///
  /// No transfer may be under way.
  public func reserve(_ byteCount: Int) {
    guard bytes.count < byteCount else { return }
    bytes.deallocate()
    bytes = .allocate(byteCount: byteCount, alignment: 64)
  }

  /// A part, by its bytes.
  public subscript(range: Range<Int>) -> TransferSlice { TransferSlice(memory: self, range: range) }

  /// The whole as a part.
  public var all: TransferSlice { self[0..<bytes.count] }

  /// Never lets go of it: somebody may use it until the process ends.
  public func keep() { _ = Unmanaged.passRetained(self) }
}

/// A part of a memory for transfers, which it holds.
public struct TransferSlice {
  /// The memory.
  public let memory: TransferMemory
  /// The part of its bytes.
  public let range: Range<Int>

  /// The bytes themselves, until the memory grows.
  public var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: memory.bytes[range])
  }
}
