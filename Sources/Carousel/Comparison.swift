import CarouselModel
import CarouselReference

/// One tensor as a device computed it, held against the reference.
public struct TensorComparison: Sendable {
  /// The tensor's name.
  public let name: String
  /// max |a − r|; not finite where an element of a is not.
  public let maxAbsolute: Double
  /// √Σ(a−r)² / (√n · max|r|), r being the reference's; not finite where an element of a is not.
  public let nrms: Double
  /// What `nrms` may be.
  public fileprivate(set) var bound: Double
  /// Whether `nrms` is within the bound; a NaN never is.
  public var ok: Bool { nrms <= bound }

  /// The bound of every tensor: 80·ε of Float32, ε being 2⁻²³.
  public static let defaultBound = 80 * 0x1p-23

  /// Compares `actual` with `reference`, of equal length.
  ///
  /// Where the reference is all 0, `nrms` is 0 if `actual` is too, else infinite.
  public init(
    name: String, actual: [Double], reference: [Double], bound: Double = Self.defaultBound
  ) {
    precondition(actual.count == reference.count, "\(name): \(actual.count), \(reference.count)")
    var squares = 0.0
    var largestError = 0.0
    var largest = 0.0
    for (a, r) in zip(actual, reference) {
      let error = (a - r).magnitude
      squares += error * error
      largestError = error <= largestError ? largestError : error
      largest = max(largest, r.magnitude)
    }
    self.name = name
    self.bound = bound
    maxAbsolute = squares.isNaN ? .nan : largestError
    if largest > 0 {
      nrms = (squares / Double(actual.count)).squareRoot() / largest
    } else {
      nrms = squares == 0 ? 0 : .infinity
    }
  }
}

/// Work that any backend can do, with inputs that are a pure function of a seed.
public protocol ComparisonCase: Sendable {
  /// What is computed: `recurrent`, `linear`, …
  var operation: String { get }
  /// The cell of recurrent work.
  var cell: Cell? { get }
  /// The sizes, by the names that are used everywhere.
  var sizes: KeyValuePairs<String, Int> { get }
  /// Whatever else tells this case from another.
  var options: [CaseOption] { get }
  /// K, the products in the longest sum.
  var sumLength: Int { get }
  /// Does the work on a backend. Buffers that it fills hold NaN before, so that an element that is
  /// not written shows.
  func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor]
}

extension ComparisonCase {
  /// No cell: only recurrent work has one.
  public var cell: Cell? { nil }
  /// No options.
  public var options: [CaseOption] { [] }
  /// Its roundings count once.
  public var sumLength: Int { 1 }

  /// Does the work on `backend` and on the reference, and compares tensor by tensor.
  ///
  /// Where a tensor is beyond `bound`, the reference does the work again with errors as large as
  /// Float32's roundings, a few times: `nrms` may be four times as large as that of the worst of them. A NaN
  /// is never within a bound, and neither is anything but 0 where the reference is 0 throughout.
  public func compare<B: Backend>(
    on backend: B, seed: UInt64, bound: Double = TensorComparison.defaultBound
  ) throws -> [TensorComparison] {
    let actual = try tensors(on: backend, seed: seed)
    let expected = try tensors(on: ReferenceBackend(), seed: seed)
    let results = compare(actual, expected, bound: bound)
    if results.allSatisfy(\.ok) { return results }
    var roundings = results.map { _ in 0.0 }
    for drawn in 0..<UInt64(Self.roundingCount) {
      let rounding = ReferenceBackend(roundingSeed: seed &+ drawn << 32, sumLength: sumLength)
      let rounded = compare(try tensors(on: rounding, seed: seed), expected, bound: bound)
      for (index, tensor) in rounded.enumerated() where tensor.nrms.isFinite {
        roundings[index] = max(roundings[index], tensor.nrms)
      }
    }
    return zip(results, roundings).map { result, rounding in
      var result = result
      if !result.ok { result.bound = max(bound, 4 * rounding) }
      return result
    }
  }

  private static var roundingCount: Int { 6 }

  private func compare(
    _ actual: [NamedTensor], _ expected: [NamedTensor], bound: Double
  ) -> [TensorComparison] {
    zip(actual, expected).map { actual, expected in
      TensorComparison(
        name: expected.name, actual: actual.tensor.values, reference: expected.tensor.values,
        bound: bound)
    }
  }
}

/// A tensor and what it is called.
public typealias NamedTensor = (name: String, tensor: Tensor)

/// Inputs that a comparison draws: input `index` of a seed, the same on every backend.
enum ComparisonInput {
  static func normal(_ shape: Shape, seed: UInt64, index: Int, deviation: Double = 1) -> Tensor {
    Tensor(
      shape,
      Initializer.normal(deviation).values(
        count: shape.count, random: Philox(seed: seed, stream: RandomStream.input(index))))
  }

  /// Indices below `bound`.
  static func indices(count: Int, below bound: Int, seed: UInt64, index: Int) -> [Int32] {
    let random = Philox(seed: seed, stream: RandomStream.input(index))
    return (0..<count).map { Int32(random.uniform($0) * Double(bound)) }
  }
}

extension Backend {
  /// A buffer that holds a tensor.
  func makeBuffer(_ tensor: Tensor) throws -> Buffer {
    let buffer = try makeBuffer(count: tensor.shape.count)
    try write(tensor, to: buffer)
    return buffer
  }

  /// A buffer in which every element has yet to be written.
  func makePoisonedBuffer(count: Int) throws -> Buffer {
    let buffer = try makeBuffer(count: count)
    try fill(buffer, count: count, with: .nan)
    return buffer
  }
}

extension ProductPrecision {
  /// What `TensorComparison.nrms` may be with such products: 80·ε of Float32; with factors of fewer bits
  /// somewhat more than where roundings crossed thresholds and clips on an H200, 5.8e-2 and 5.3e-2.
  public var comparisonBound: Double {
    switch self {
    case .float32, .tf32x3: TensorComparison.defaultBound
    case .tf32, .fp16: 0x1p-4
    case .bf16: 0x1p-3
    }
  }
}
