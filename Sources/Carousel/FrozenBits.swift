import CarouselModel
import CarouselOpenCL
import OpenCLDriver

/// Hashes of what a device computes, bit by bit: whoever rearranges kernels sees that no result changes.
///
/// The bits depend on the kind of device and its driver, not on its number of cores, so that hashes are
/// compared with those of another build on the same machine, or with those that were recorded for the same
/// `signature`.
package enum FrozenBits {
  /// Work, and how a device does it.
  package struct Case: Sendable {
    let work: any ComparisonCase
    let form: KernelForm
    var precision = ProductPrecision.float32
    var tuning: LayerTuning?

    /// Everything that tells this case from another one, in one line.
    package var label: String {
      let words =
        [
          form.rawValue, precision.rawValue, tuning?.description, work.cell?.rawValue,
          work.operation,
        ]
        .compactMap { $0 } + work.sizes.map { "\($0.key) \($0.value)" }
        + work.options.map { "\($0.key) \($0.value)" }
      return words.joined(separator: ", ")
    }
  }

  /// The hashes of a case's tensors.
  package struct Hashes: Sendable {
    package let label: String
    package let tensors: [(name: String, hash: UInt64)]

    /// One hash for all tensors.
    package var hash: UInt64 {
      tensors.reduce(into: FNV1a()) { $0.add($1.hash) }.value
    }

    /// One hash and the case.
    package var line: String { "\(Self.hex(hash)) \(label)" }

    /// The case and a hash for each tensor.
    package var detailedLine: String {
      "\(label): " + tensors.map { "\($0.name) \(Self.hex($0.hash))" }.joined(separator: " ")
    }

    private static func hex(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  /// What the bits depend on beside the kernels.
  package static func signature(of device: Device) -> String {
    "\(device.name), \(device.driver), \(device.platformVersion), "
      + "vectors of \(device.nativeVectorWidthFloat)"
  }

  /// Does the work of `cases` on a device and hands out the hashes, case by case.
  ///
  /// No tuned choice that the user has stored is used for a layer, and no stored program unless there is a
  /// `cache`.
  package static func compute(
    _ cases: [Case], on device: Device, cache: ProgramCache = ProgramCache(folder: nil),
    _ body: (Hashes) throws -> Void
  ) throws {
    var backends: [String: OpenCLBackend] = [:]
    for frozen in cases {
      let key = "\(frozen.form) \(frozen.precision)"
      let backend =
        try backends[key]
        ?? OpenCLBackend(
          device: device, kernels: frozen.form, precision: frozen.precision, cache: cache)
      backends[key] = backend
      try body(hashes(frozen, on: backend))
    }
  }

  private static func hashes(_ frozen: Case, on backend: OpenCLBackend) throws -> Hashes {
    if let work = frozen.work as? RecurrentComparison {
      backend.tune(
        work.configuration.units.map(\.layer), batchSize: work.batchSize,
        frozen.tuning ?? LayerTuning())
    }
    let tensors = try frozen.work.tensors(on: backend, seed: 7).map { name, tensor in
      (name, tensor.values.reduce(into: FNV1a()) { $0.add(Float($1).bitPattern) }.value)
    }
    return Hashes(label: frozen.label, tensors: tensors)
  }
}

/// The hash of Fowler, Noll and Vo, 64 bits.
private struct FNV1a {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bits: some FixedWidthInteger & UnsignedInteger) {
    for shift in stride(from: 0, to: bits.bitWidth, by: 8) {
      value = (value ^ UInt64(truncatingIfNeeded: bits >> shift) & 0xff) &* 0x100_0000_01b3
    }
  }
}
