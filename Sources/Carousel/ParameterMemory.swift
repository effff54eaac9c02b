import CarouselModel

/// The memory that a network's training needs, in bytes of Float32.
package struct ParameterMemory: Hashable, Sendable, Encodable {
  /// T and N.
  package let sequenceLength: Int, batchSize: Int
  /// The parameters.
  package let weightBytes: Int
  /// What the recurrent layers keep for the backward pass: ∝ T·N.
  package let activationBytes: Int
  /// The two moments of Adam.
  package let optimizerBytes: Int

  /// Counts for `parameterCount` parameters, of which the recurrent ones are `configuration`'s, over T
  /// steps of N sequences.
  package init(
    _ configuration: RecurrentConfiguration, parameterCount: Int, sequenceLength: Int,
    batchSize: Int
  ) {
    let size = ElementType.float32.byteCount
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    weightBytes = size * parameterCount
    activationBytes = size * sequenceLength * batchSize * configuration.activationsPerStep
    optimizerBytes = 2 * weightBytes
  }
}

extension RecurrentConfiguration {
  /// The numbers that the equations of the backward pass take from one step of one sequence.
  ///
  /// They are the input and, for each layer and direction, every gate, the states, and for the GRU the
  /// recurrent part of n, or r ⊙ h where the reset gate stands before the product; with layer
  /// normalisation the normalised products and cell state, with a projection what it reads, with
  /// zoneout what was kept. A device may keep fewer and compute them again.
  package var activationsPerStep: Int {
    let traits = cell.traits
    // The only gate of a cell with one is its h.
    let gates = traits.gates.count > 1 ? traits.gates.count : 0
    var units = gates + (traits.splitsLastGate ? 1 : 0) + traits.memory.count
    if options.layerNorm {
      units += 2 * layer(0, isReverse: false).gateCount + (traits.normalizesMemory ? 1 : 0)
    }
    if options.projectionSize != nil { units += 1 }  // what is projected
    if options.zoneoutCell > 0 { units += 2 }  // c before zoneout, the mask
    let states = options.zoneoutHidden > 0 ? 2 : 1
    let merged = directions == 2 ? outputSize : 0
    return inputSize
      + layers * (directions * (units * hiddenSize + states * stateSize) + merged)
  }
}
