import CarouselModel
import Foundation

/// Elements in host memory: an allocation of its own, or a view of a part of one.
///
/// A view aliases its parent and keeps it alive.
public final class ReferenceBuffer: BackendBuffer {
  /// The number of elements.
  public let count: Int
  /// The elements, valid as long as the buffer.
  let elements: UnsafeMutablePointer<Double>
  private let parent: ReferenceBuffer?

  /// Allocates `count` elements, all 0.
  init(count: Int) throws(CarouselError) {
    guard count >= 0, let memory = calloc(max(count, 1), MemoryLayout<Double>.stride) else {
      throw CarouselError(
        .noDevice,
        "reference: a buffer of \(count) elements was asked for, but there is no memory for it")
    }
    self.count = count
    elements = memory.bindMemory(to: Double.self, capacity: max(count, 1))
    parent = nil
  }

  /// A view of `count` elements of `parent` from `offset` on.
  init(_ parent: ReferenceBuffer, offset: Int, count: Int) {
    precondition(
      offset >= 0 && count >= 0 && offset + count <= parent.count,
      "a slice of \(count) elements from \(offset) on of a buffer of \(parent.count)")
    self.count = count
    elements = parent.elements + offset
    self.parent = parent
  }

  deinit {
    if parent == nil { free(elements) }
  }

  /// Where the elements are, of which there must be at least `count`.
  func vector(_ count: Int) -> UnsafeMutablePointer<Double> {
    precondition(
      0...self.count ~= count, "\(count) elements were expected in a buffer of \(self.count)")
    return elements
  }

  /// The first `count` elements.
  func first(_ count: Int) -> UnsafeMutableBufferPointer<Double> {
    UnsafeMutableBufferPointer(start: vector(count), count: count)
  }

  /// The first `rows · columns` elements as a row-major matrix.
  func matrix(_ rows: Int, _ columns: Int) -> Matrix {
    Matrix(elements: vector(rows * columns), rows: rows, columns: columns)
  }
}

/// Indices in host memory.
public final class ReferenceIndexBuffer: BackendIndexBuffer {
  /// The indices.
  public internal(set) var values: [Int32]

  init(count: Int) throws(CarouselError) {
    guard count >= 0 else {
      throw CarouselError(.usage, "a buffer cannot hold \(count) indices")
    }
    values = [Int32](repeating: 0, count: count)
  }
}
