import CarouselModel
import OpenCLDriver

/// What one pass of a layer draws at random; each nil where nothing is dropped or kept.
struct RecurrentMasks {
  /// Recurrent dropout: factors `[N, P]`, and the first and all hidden states times them.
  var hidden: Buffer?, maskedInitial: Buffer?, masked: Buffer?
  /// Zoneout: 1 where a unit keeps its state, `[T, N, P]` and `[T, N, H]`.
  var keepHidden: Buffer?, keepCell: Buffer?
}

// With OpenCLBackend+Elementwise.swift the twin of dropout.cl, and that of blocks.cl.
extension Launcher {
  static let dropoutFiles = ["ops/dropout.cl"]

  /// p as the number of multiples of 2⁻²⁴ below it, so that host and device agree on every element.
  static func threshold(_ probability: Double) -> UInt32 {
    UInt32((probability * 0x1p24).rounded(.up))
  }

  private func draw(
    count: Int, probability: Double, below: Float, above: Float, random: Philox
  ) throws -> Buffer {
    let mask = try scratch(count: count)
    try launch(
      kernel("draw_mask", in: Self.dropoutFiles), items: ceilDivide(count, parameters.elements),
      bytes: 4 * Double(count),
      [
        "mask": .buffer(mask), "count": .int(count),
        "threshold": .uint32(Self.threshold(probability)), "below": .float(below),
        "above": .float(above),
      ] + Self.arguments(random))
    return mask
  }

  /// `y[i] = x[i] / (1 − p)` where `random.uniform(i) ≥ p`, else 0; `y` may be `x`.
  func drop(_ x: Buffer, into y: Buffer, count: Int, probability: Double, random: Philox) throws {
    try launch(
      kernel("dropout", in: Self.dropoutFiles), items: ceilDivide(count, parameters.elements),
      flops: Double(count), bytes: 8 * Double(count),
      [
        "x": .buffer(x), "y": .buffer(y), "count": .int(count),
        "threshold": .uint32(Self.threshold(probability)),
        "scale": .float(Float(1 / (1 - probability))),
      ] + Self.arguments(random))
  }

  /// Which numbers of a stream are drawn; a width of 0 draws all, from the first.
  private static func arguments(_ random: Philox) -> KernelArguments {
    let window = random.window
    return [
      "seed": .uint64(random.seed), "stream": .uint64(random.stream),
      "width": .uint64(UInt64(window?.width ?? 0)), "stride": .uint64(UInt64(window?.stride ?? 0)),
      "offset": .uint64(UInt64(window?.offset ?? 0)),
    ]
  }

  /// Draws the masks of a pass; nil where its work says nothing of noise, or its layer has none.
  func drawMasks(_ pass: RecurrentPass) throws -> RecurrentMasks? {
    guard let noise = pass.work.noise else { return nil }
    let options = pass.layer.options
    var masks = RecurrentMasks()
    if options.recurrentDropout > 0 {
      let p = options.recurrentDropout
      let mask = try draw(
        count: pass.stateCount, probability: p, below: 0, above: Float(1 / (1 - p)),
        random: noise.recurrentDropout(width: pass.layer.stateSize))
      masks.hidden = mask
      masks.masked = try scratch(count: pass.sequenceLength * pass.stateCount)
      if let initial = pass.initial?.hidden {
        let masked = try scratch(count: pass.stateCount)
        try multiply(initial, mask, into: masked, count: pass.stateCount)
        masks.maskedInitial = masked
      }
    }
    if options.zoneoutHidden > 0 {
      masks.keepHidden = try draw(
        count: pass.sequenceLength * pass.stateCount, probability: options.zoneoutHidden, below: 1,
        above: 0, random: noise.zoneoutHidden(width: pass.layer.stateSize))
    }
    if options.zoneoutCell > 0 {
      masks.keepCell = try draw(
        count: pass.sequenceLength * pass.unitCount, probability: options.zoneoutCell, below: 1,
        above: 0,
        random: noise.zoneoutCell(width: pass.layer.hiddenSize))
    }
    return masks
  }

  /// The recurrent weights as products read them: those of blocks as a matrix, what DropConnect drops
  /// as 0; nil where they are the parameter itself.
  func recurrentWeights(_ pass: RecurrentPass) throws -> Buffer? {
    var weights: Buffer?
    let layer = pass.layer
    guard let weight = pass.parameters.weightHH else { return nil }
    if let noise = pass.work.noise, layer.options.dropConnect > 0 {
      let kept = try scratch(count: layer.recurrentCount)
      try drop(
        weight, into: kept, count: layer.recurrentCount,
        probability: layer.options.dropConnect, random: noise.dropConnect)
      weights = kept
    }
    guard case .blocks = layer.recurrence else { return weights }
    let dense = try scratch(count: layer.gateRows * layer.stateSize)
    try launchBlocks(
      "expand_blocks", layer,
      ["blocks": .buffer(weights ?? weight), "dense": .buffer(dense)])
    return dense
  }

  /// From the gradient of the matrix that the products read to that of the parameter.
  func recurrentWeightGradient(_ pass: RecurrentPass, from dense: Buffer, into gradient: Buffer)
    throws
  {
    let layer = pass.layer
    if case .blocks = layer.recurrence {
      try launchBlocks(
        "gather_blocks", layer, ["dense": .buffer(dense), "blocks": .buffer(gradient)])
    }
    guard let noise = pass.work.noise, layer.options.dropConnect > 0 else { return }
    try drop(
      gradient, into: gradient, count: layer.recurrentCount,
      probability: layer.options.dropConnect, random: noise.dropConnect)
  }

  private func launchBlocks(
    _ name: String, _ layer: RecurrentLayer, _ buffers: KernelArguments
  ) throws {
    let dense = layer.gateRows * layer.stateSize
    try launch(
      kernel(name, in: ["recurrent/blocks.cl"]), global: [layer.stateSize, layer.gateRows],
      bytes: 4 * Double(dense + layer.recurrentCount),
      buffers + [
        "H": .int(layer.hiddenSize), "P": .int(layer.stateSize), "units": .int(layer.block.units),
        "states": .int(layer.block.states),
      ])
  }
}

extension RecurrentLayer {
  /// The elements of `weight_hh`.
  fileprivate var recurrentCount: Int { gateRows * recurrentFanIn }
}
