import CarouselModel
import Foundation

/// The specification of every operation: plain loops on the host, all values and sums in Float64.
///
/// It is the truth that a device is compared with, made to be read beside the papers, not to be
/// fast. An operation is done when its call returns. NaN is never masked: what depends on it becomes NaN.
public final class ReferenceBackend: Backend {
  /// Float64 elements in host memory.
  public typealias Buffer = ReferenceBuffer
  /// Int32 elements in host memory.
  public typealias IndexBuffer = ReferenceIndexBuffer
  /// What the cells keep and the cell states of a layer's forward pass.
  public typealias RecurrentReserve = ReferenceReserve

  /// `reference`.
  public let name = "reference"
  /// The name alone: the reference computes alike everywhere.
  public var record: BackendRecord { BackendRecord(device: name) }
  /// Float64.
  public let elementType = ElementType.float64
  /// Where a slice may begin: offsets are multiples of this many elements.
  public let sliceAlignment: Int

  /// What imitates Float32; nil for the truth.
  let rounding: Rounding?

  /// Makes the reference.
  public convenience init() { self.init(sliceAlignment: 1) }

  /// Makes a reference that asks for aligned slices, as devices do.
  package init(sliceAlignment: Int) {
    precondition(sliceAlignment > 0)
    self.sliceAlignment = sliceAlignment
    rounding = nil
  }

  /// Makes a reference that is as far from the truth as Float32 is.
  ///
  /// Every number that is written to it, and every one that a recurrent layer keeps, is wrong by an error
  /// drawn from `seed`, as large as Float32's rounding; those written by √K/2 roundings, in place of
  /// the roundings of sums of K products, `sumLength`.
  public init(roundingSeed seed: UInt64, sumLength: Int) {
    sliceAlignment = 1
    rounding = Rounding(seed: seed, sumLength: sumLength)
  }

  /// Allocates `count` elements, all 0; throws where there is no memory for them.
  public func makeBuffer(count: Int) throws -> Buffer { try Buffer(count: count) }

  /// A view of `count` elements from `offset` on, which keeps its parent alive.
  public func slice(_ buffer: Buffer, offset: Int, count: Int) throws -> Buffer {
    try checkSlice(of: buffer, offset: offset, count: count)
    return Buffer(buffer, offset: offset, count: count)
  }

  /// Overwrites the first `values.count` elements.
  public func write(_ values: [Double], to buffer: Buffer) throws {
    try check(buffer, "write", values.count)
    let elements = buffer.first(values.count)
    _ = elements.update(fromContentsOf: values)
    rounding?.roundFactors(elements)
  }

  /// Overwrites the first elements; Float32 become Float64 on the way.
  public func write(_ tensor: Tensor, to buffer: Buffer) throws {
    switch tensor.elements {
    case .float64(let doubles): try write(doubles, to: buffer)
    case .float32(let floats):
      try check(buffer, "write", floats.count)
      let elements = buffer.first(floats.count)
      for (index, value) in floats.enumerated() { elements[index] = Double(value) }
      rounding?.roundFactors(elements)
    }
  }

  /// The first `count` elements.
  public func read(_ buffer: Buffer, count: Int) throws -> [Double] {
    try check(buffer, "read", count)
    return Array(buffer.first(count))
  }

  /// The first elements as a tensor of Float64.
  public func readTensor(_ buffer: Buffer, _ shape: Shape) throws -> Tensor {
    Tensor(shape, try read(buffer, count: shape.count))
  }

  /// Copies the first `count` elements.
  public func copy(_ source: Buffer, to destination: Buffer, count: Int) throws {
    try check(source, "copy", count)
    try check(destination, "copy", count)
    _ = destination.first(count).update(fromContentsOf: source.first(count))
  }

  /// Sets the first `count` elements to `value`.
  public func fill(_ buffer: Buffer, count: Int, with value: Double) throws {
    try check(buffer, "fill", count)
    buffer.first(count).update(repeating: value)
  }

  /// Allocates room for `count` indices, all 0.
  public func makeIndexBuffer(count: Int) throws -> IndexBuffer { try IndexBuffer(count: count) }

  /// Overwrites the first `values.count` indices.
  public func write(_ values: [Int32], to buffer: IndexBuffer) throws {
    try check(buffer, count: values.count)
    buffer.values.replaceSubrange(0..<values.count, with: values)
  }

  /// Returns at once: every operation is done when its call returns.
  public func synchronize() {}
}

extension ReferenceBackend {
  /// One step of an optimizer on `count` parameters that lie in one buffer; see `Backend` and
  /// `Optimizer` for the equations.
  public func optimize(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    learningRate: Double, gradientNorm: Buffer?, maximumNorm: Double?, step: Int
  ) throws {
    try checkOptimizer(
      optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
      gradientNorm: gradientNorm, maximumNorm: maximumNorm, step: step)
    let theta = parameters.first(count)
    let gradients = gradients.first(count)
    let moments = moments.map { $0.first(count) }
    let factor = clipFactor(norm: gradientNorm, maximum: maximumNorm)
    switch optimizer {
    case .sgd(let momentum, let weightDecay):
      for i in 0..<count {
        var velocity = gradients[i] * factor + weightDecay * theta[i]
        if let kept = moments.first {
          velocity += momentum * kept[i]
          kept[i] = velocity
        }
        theta[i] -= learningRate * velocity
      }
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      let correction1 = 1 - pow(beta1, Double(step))
      let correction2 = 1 - pow(beta2, Double(step))
      let (first, second) = (moments[0], moments[1])
      for i in 0..<count {
        var gradient = gradients[i] * factor
        if decoupled {
          theta[i] -= learningRate * weightDecay * theta[i]
        } else {
          gradient += weightDecay * theta[i]
        }
        first[i] = beta1 * first[i] + (1 - beta1) * gradient
        second[i] = beta2 * second[i] + (1 - beta2) * gradient * gradient
        let mean = first[i] / correction1
        let deviation = (second[i] / correction2).squareRoot()
        theta[i] -= learningRate * mean / (deviation + epsilon)
      }
    }
  }

  /// `min(1, maximum / (norm + 1e-6))`, NaN where the norm is NaN; 1 without a maximum.
  private func clipFactor(norm: Buffer?, maximum: Double?) -> Double {
    guard let maximum, let norm else { return 1 }
    let ratio = maximum / (norm.vector(1)[0] + 1e-6)
    return ratio >= 1 ? 1 : ratio
  }

  /// `norm[0] = √Σ x[i]²` over the first `count` elements, in ascending order.
  public func norm(of x: Buffer, count: Int, into norm: Buffer) throws {
    try check(x, "x", count)
    try check(norm, "norm", 1)
    var sum = 0.0
    for element in x.first(count) { sum += element * element }
    norm.vector(1)[0] = sum.squareRoot()
  }
}
