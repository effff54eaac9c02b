import CarouselModel
import CarouselReference
import Foundation
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

/// The device of this machine; tests that need one are visibly skipped where there is none.
///
/// One backend of each form serves all tests, on one thread: memory that one test leaves behind is
/// what the next one takes from the pool. No program comes from the user's cache or goes there.
@MainActor
enum Machine {
  nonisolated static var hasDevice: Bool { (try? device) != nil }

  /// The device that `CAROUSEL_TEST_DEVICE` names, or the default one.
  nonisolated static var device: Device {
    get throws {
      try Device.select(ProcessInfo.processInfo.environment["CAROUSEL_TEST_DEVICE"] ?? "auto")
    }
  }

  static func backend(
    _ form: KernelForm, _ precision: ProductPrecision = .float32
  ) throws -> OpenCLBackend {
    let key = [form.rawValue, precision.rawValue]
    if let backend = backends[key] { return backend }
    let backend = try newBackend(form, precision, profiling: true)
    backends[key] = backend
    return backend
  }

  /// A backend that shares nothing with the others.
  static func newBackend(
    _ form: KernelForm, _ precision: ProductPrecision = .float32, profiling: Bool = false
  ) throws -> OpenCLBackend {
    try OpenCLBackend(
      device: device, kernels: form, precision: precision, profiling: profiling,
      cache: ProgramCache(folder: nil))
  }

  private static var backends: [[String]: OpenCLBackend] = [:]
}

extension KernelForm {
  /// The forms that kernels have; each is tested on whatever device there is.
  static let both: [KernelForm] = [.cpu, .gpu]
}

/// A tensor that some work left, and how far a device may be from the reference.
struct Outcome {
  let name: String
  let values: [Double]
  /// The largest nrms, 80·ε of Float32; 0 for what has to be exact.
  var bound = 80 * 0x1p-23
}

/// Work that the reference and a device can do alike.
protocol Work {
  func outcomes<B: Backend>(on backend: B) throws -> [Outcome]
}

/// √Σ(a−r)² / (√n · max|r|); NaN where an element is, infinite where r is all 0 and a is not.
func nrms(_ actual: [Double], _ reference: [Double]) -> Double {
  var squares = 0.0
  var largest = 0.0
  for (a, r) in zip(actual, reference) {
    squares += (a - r) * (a - r)
    largest = max(largest, r.magnitude)
  }
  if largest == 0 { return squares == 0 ? 0 : squares / 0 }
  return (squares / Double(reference.count)).squareRoot() / largest
}

/// Does the work on the reference and, with both forms of the kernels, on the device: every tensor has
/// to be within its bound, which NaN never is.
@MainActor
func expectAgreement(
  _ work: some Work, forms: [KernelForm] = KernelForm.both,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let backends = try forms.map { try Machine.backend($0) }
  try expectAgreement(work, on: backends, sourceLocation: sourceLocation)
}

/// The same on these backends; `bound` is another one than the tensors' own.
func expectAgreement(
  _ work: some Work, on backends: [OpenCLBackend], bound: Double? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let reference = try work.outcomes(on: ReferenceBackend())
  try #require(!reference.isEmpty)
  for backend in backends {
    let actual = try work.outcomes(on: backend)
    try #require(actual.map(\.name) == reference.map(\.name))
    for (a, r) in zip(actual, reference) {
      try #require(a.values.count == r.values.count && !r.values.isEmpty)
      let error = nrms(a.values, r.values)
      #expect(
        error <= bound ?? r.bound, "\(backend.kernelForm) \(a.name): nrms \(error) in \(work)",
        sourceLocation: sourceLocation)
    }
  }
}

/// NaN elements behind every buffer: what reads past an end spoils its result, what writes past an
/// end is seen.
let guardCount = 67

/// `count` numbers in [−scale, scale), exact in Float32 for a scale that is a power of 2, none of
/// them 0: draws of one stream over and over, as long as a prime.
func numbers(_ count: Int, stream: Int, scale: Double = 1) -> [Double] {
  let random = Philox(seed: 0xCA05, stream: RandomStream.input(stream))
  let drawn = (0..<min(count, 4099)).map {
    (2 * random.uniform($0) + 0x1p-24 - 1) * scale
  }.map { Double(Float($0)) }
  return (0..<count).map { drawn[$0 % drawn.count] }
}

extension Backend {
  func input(_ values: [Double]) throws -> Buffer {
    let buffer = try makeBuffer(count: values.count + guardCount)
    try write(values + [Double](repeating: .nan, count: guardCount), to: buffer)
    return buffer
  }

  /// A buffer of NaN, which have to be overwritten.
  func output(_ count: Int) throws -> Buffer {
    try input([Double](repeating: .nan, count: count))
  }

  func indices(_ values: [Int32]) throws -> IndexBuffer {
    let buffer = try makeIndexBuffer(count: values.count)
    try write(values, to: buffer)
    return buffer
  }

  /// What was written to the first `count` elements, and nothing behind them.
  func outcome(
    _ name: String, _ buffer: Buffer, _ count: Int, bound: Double = 80 * 0x1p-23
  ) throws -> Outcome {
    let values = try read(buffer, count: count + guardCount)
    #expect(values[count...].allSatisfy { $0.isNaN }, "\(name) was written past its end")
    return Outcome(name: name, values: Array(values[..<count]), bound: bound)
  }
}
