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

extension FrozenBits {
  /// What the tests check: few programs, in which every cell and the kernels of every kind are met.
  package static var quick: [Case] {
    KernelForm.both.flatMap { form in
      (cells.map { work($0, direction: .bidirectional) } + mixedLayers + shapes).map {
        Case(work: $0, form: form)
      } + operations(form)
    }
  }

  /// Every cell, every option, both forms of the kernels, every precision and every strategy once.
  package static var standard: [Case] {
    KernelForm.both.flatMap { form in
      (layers + shapes).map { Case(work: $0, form: form) } + operations(form)
    } + tuned + rounded
  }

  /// What `compare` does besides, and weights that no cache holds: minutes.
  package static var all: [Case] {
    standard
      + KernelForm.both.flatMap { form in
        ComparisonCases.all.map { Case(work: $0, form: form) }
      }
      + cells.map { cell in
        Case(
          work: work(cell, sequenceLength: 3, batchSize: 26, inputSize: 16, hiddenSize: 900),
          form: .cpu)
      }
  }

  /// The cells whose bits are recorded.
  private static let cells: [Cell] = [.rnn, .lstm, .gru]

  /// Layers that together have every option of these cells.
  private static var layers: [any ComparisonCase] {
    let perCell = cells.flatMap { cell in
      [
        work(cell), work(cell, CellOptions(bias: .single), direction: .bidirectional),
        work(cell, CellOptions(bias: .none, recurrence: .diagonal)),
        work(cell, CellOptions(recurrence: .blocks(2), recurrentDropout: 0.4, dropConnect: 0.3)),
        work(cell, CellOptions(layerNorm: true), direction: .reverse),
        work(cell, CellOptions(zoneoutHidden: 0.5)),
      ]
    }
    return perCell + gatedLayers + mixedLayers
  }

  private static var gatedLayers: [any ComparisonCase] {
    [
      work(.rnn, activations(.rnn, [.relu])),
      work(.gru, activations(.gru, [.hardSigmoid, .softsign, .elu])),
      work(.gru, CellOptions(overrides: ["update": 0.25, "new": 1])),
      work(.gru, CellOptions(gruReset: .before)),
      work(.lstm, activations(.lstm, [.hardSigmoid, .softsign, .elu, .sigmoid, .scaledTanh])),
      work(.lstm, activations(.lstm, [.softplus, .affine, .leakyRelu, .relu, .thresholdedRelu])),
      work(.lstm, CellOptions(peepholes: true, cellClip: 0.5)),
      work(.lstm, CellOptions(forgetGate: .coupled, peepholes: true)),
      work(.lstm, CellOptions(forgetGate: .input), direction: .reverse),
      work(.lstm, CellOptions(forgetGate: .output)),
      work(.lstm, CellOptions(forgetGate: .constant(0.9), peepholes: true)),
      work(.lstm, CellOptions(overrides: ["forget": 0])),
      work(.lstm, CellOptions(projectionSize: 9), direction: .bidirectional),
    ]
  }

  /// Layers with many options at once.
  private static var mixedLayers: [any ComparisonCase] {
    [
      work(.rnn, CellOptions(recurrence: .diagonal, zoneoutHidden: 0.3, dropConnect: 0.3)),
      work(.gru, CellOptions(gruReset: .before, layerNorm: true, recurrentDropout: 0.5)),
      work(.lstm, CellOptions(forgetGate: .coupled, peepholes: true, cellClip: 0.5)),
      work(
        .lstm,
        CellOptions(
          recurrence: .blocks(2), projectionSize: 16, layerNorm: true, recurrentDropout: 0.3,
          zoneoutHidden: 0.4, zoneoutCell: 0.3, dropConnect: 0.2)),
    ]
  }

  /// Plain layers of sizes that fill tiles, leave some empty, and of a pass without gradients.
  private static var shapes: [any ComparisonCase] {
    cells.flatMap { cell in
      [
        work(cell, sequenceLength: 1, batchSize: 1, inputSize: 1, hiddenSize: 1),
        work(cell, sequenceLength: 7, batchSize: 19, inputSize: 13, hiddenSize: 65),
        work(
          cell, sequenceLength: 3, batchSize: 40, inputSize: 32, hiddenSize: 48, training: false),
      ]
    }
  }

  private static func operations(_ form: KernelForm) -> [Case] {
    ComparisonCases.tiny.filter { !($0 is RecurrentComparison) }.map { Case(work: $0, form: form) }
  }

  /// The ways to compute a layer that rules do not take here.
  private static var tuned: [Case] {
    var result: [Case] = []
    for cell in cells {
      for (splitsUnits, multipliesInputs) in [(true, true), (true, false), (false, false)] {
        var tuning = LayerTuning()
        (tuning.splitsUnits, tuning.multipliesInputs) = (splitsUnits, multipliesInputs)
        result.append(
          Case(
            work: work(cell, sequenceLength: 5, batchSize: 9, inputSize: 6, hiddenSize: 65),
            form: .cpu,
            tuning: tuning))
      }
      for tile in [0, 4] {
        var tuning = LayerTuning()
        tuning.persistentTile = tile
        result.append(
          Case(
            work: work(cell, sequenceLength: 5, batchSize: 9, inputSize: 6, hiddenSize: 33),
            form: .gpu,
            tuning: tuning))
      }
    }
    return result
  }

  /// Products with rounded factors.
  private static var rounded: [Case] {
    let precisions: [(KernelForm, ProductPrecision)] = [
      (.cpu, .fp16), (.gpu, .tf32), (.gpu, .bf16), (.gpu, .tf32x3),
    ]
    return precisions.flatMap { form, precision in
      cells.map { cell in
        Case(
          work: work(cell, batchSize: 17, hiddenSize: 32), form: form, precision: precision)
      }
    }
  }

  private static func activations(
    _ cell: Cell, _ functions: [Activation.Function]
  ) -> CellOptions {
    var options = CellOptions()
    for (name, function) in zip(cell.activationNames, functions) {
      options.activations[name] = Activation(function, alpha: 0.7, beta: 0.3)
    }
    return options
  }

  /// A layer, in training with sequences of different lengths.
  private static func work(
    _ cell: Cell, _ options: CellOptions = CellOptions(), sequenceLength: Int = 4,
    batchSize: Int = 5,
    inputSize: Int = 6, hiddenSize: Int = 18, direction: Direction = .forward, training: Bool = true
  ) -> any ComparisonCase {
    RecurrentComparison(
      RecurrentConfiguration(
        cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, direction: direction,
        options: options),
      sequenceLength: sequenceLength, batchSize: batchSize,
      lengths: batchSize == 5
        ? ComparisonCases.lengths(count: batchSize, sequenceLength: sequenceLength) : nil,
      training: training)
  }
}

extension KernelForm {
  fileprivate static let both: [KernelForm] = [.cpu, .gpu]
}
