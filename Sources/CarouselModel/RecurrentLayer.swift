/// One recurrent layer in one direction: the unit of work of `Backend.recurrentForward`.
public struct RecurrentLayer: Hashable, Sendable {
  /// What one step computes.
  public var cell: Cell
  /// How the layer departs from its cell's plain form.
  public var options: CellOptions
  /// C, the features of an input at one step.
  public var inputSize: Int
  /// H, the units of the hidden state.
  public var hiddenSize: Int
  /// Whether the layer walks from the last step to the first.
  public var isReverse: Bool

  /// Describes a layer; `validate()` checks it.
  public init(
    cell: Cell, inputSize: Int, hiddenSize: Int, options: CellOptions = CellOptions(),
    isReverse: Bool = false
  ) {
    self.cell = cell
    self.options = options
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.isReverse = isReverse
  }

  /// Throws a usage error where a size or a mix of options makes no sense.
  ///
  /// Throws an error of the device where a size is beyond any device's memory.
  public func validate() throws(CarouselError) {
    try RecurrentConfiguration(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options
    ).validate()
  }

  /// P, the elements of a hidden state: H without a projection.
  public var stateSize: Int { options.projectionSize ?? hiddenSize }

  /// G, the gates that have weights.
  public var gateCount: Int { options.weightGates(of: cell).count }

  /// G·H, the rows of each weight matrix.
  public var gateRows: Int { gateCount * hiddenSize }

  /// M, the states of a unit beside h.
  public var memoryCount: Int { cell.traits.memory.count }

  /// M·H, the elements of the states beside h.
  public var memorySize: Int { memoryCount * hiddenSize }

  /// What stands between the hidden states of two steps: what the options say, and `absent` where the
  /// cell has no recurrent weights.
  public var recurrence: Recurrence {
    cell.traits.hasRecurrentWeights ? options.recurrence : .absent
  }

  /// Whether there is a `bias_hh`: that of a recurrent product.
  public var hasRecurrentBias: Bool { options.bias == .double && recurrence != .absent }

  /// The layer's parameters in PyTorch's names and order, with `suffix` (`_l0`, `_l1_reverse`, …); none
  /// where `validate()` refuses a size.
  public func parameterDescriptions(suffix: String) -> [ParameterDescription] {
    let stack = RecurrentConfiguration(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options)
    guard stack.hasValidSizes else { return [] }
    let bound = 1 / Double(hiddenSize).squareRoot()
    let initializer = Initializer.uniform(bound)
    func parameter(_ name: String, _ shape: Shape) -> ParameterDescription {
      ParameterDescription(name + suffix, shape, initializer)
    }
    var result = [parameter("weight_ih", [gateRows, inputSize])]
    switch recurrence {
    case .dense: result.append(parameter("weight_hh", [gateRows, stateSize]))
    case .diagonal: result.append(parameter("weight_hh", [gateRows]))
    case .blocks(let count):
      result.append(
        parameter("weight_hh", [gateCount, count, hiddenSize / count, stateSize / count]))
    case .absent: break
    }
    if options.bias != .none {
      var bias = parameter("bias_ih", [gateRows])
      if let value = options.forgetBias,
        let gate = options.weightGates(of: cell).firstIndex(of: "forget")
      {
        bias.initializer = .uniformExcept(
          bound, range: gate * hiddenSize..<(gate + 1) * hiddenSize, value: value)
      }
      result.append(bias)
    }
    if hasRecurrentBias { result.append(parameter("bias_hh", [gateRows])) }
    if let projectionSize = options.projectionSize {
      result.append(parameter("weight_hr", [projectionSize, hiddenSize]))
    }
    if options.peepholes {
      result.append(parameter("weight_ci", [hiddenSize]))
      if options.forgetGate == .own { result.append(parameter("weight_cf", [hiddenSize])) }
      result.append(parameter("weight_co", [hiddenSize]))
    }
    if options.layerNorm { result += normDescriptions(suffix: suffix) }
    return result
  }

  /// The gains, 1 at first, and the shift of the normalised cell state.
  private func normDescriptions(suffix: String) -> [ParameterDescription] {
    var result = ["weight_ln_ih", "weight_ln_hh"].map {
      ParameterDescription($0 + suffix, [gateRows], .constant(1))
    }
    guard cell.traits.normalizesMemory else { return result }
    result.append(ParameterDescription("weight_ln_c" + suffix, [hiddenSize], .constant(1)))
    if options.bias != .none {
      result.append(ParameterDescription("bias_ln_c" + suffix, [hiddenSize], .constant(0)))
    }
    return result
  }

  /// Floating-point operations of one pass over T steps of N sequences.
  ///
  /// 2·T·N·G·H·(C+H) forward, three times that with the backward pass, whatever the options spare.
  public func flops(sequenceLength: Int, batchSize: Int, backward: Bool) -> Double {
    let forward =
      2 * Double(sequenceLength) * Double(batchSize) * Double(gateRows)
      * Double(inputSize + hiddenSize)
    return backward ? 3 * forward : forward
  }

  /// The recurrent weights of each gate of a unit: P, P/K with K blocks, 1 with a diagonal, 0 without.
  public var recurrentFanIn: Int {
    switch recurrence {
    case .dense: stateSize
    case .diagonal: 1
    case .blocks(let count): stateSize / count
    case .absent: 0
    }
  }

  /// Floating-point operations that the products of one pass need, for sequences that have `rows` steps
  /// together and begin at a state of zeros; `sequences` of them have a step at all.
  ///
  /// 2·rows·G·H·C + 2·(rows − sequences)·G·H·F, where F is `recurrentFanIn`, and 2·rows·P·H with a
  /// projection; three times that with the backward pass. A dense layer needs what `flops` counts, but for
  /// the product of the state before the first step.
  public func neededFlops(rows: Int, sequences: Int, backward: Bool) -> Double {
    let inputs = Double(rows) * Double(gateRows) * Double(inputSize)
    let states = Double(rows - sequences) * Double(gateRows) * Double(recurrentFanIn)
    let projection = options.projectionSize.map { Double(rows) * Double($0) * Double(hiddenSize) }
    return (backward ? 3 : 1) * 2 * (inputs + states + (projection ?? 0))
  }
}

/// The parameters of one recurrent layer, or their gradients, in a backend's memory.
public struct RecurrentParameters<Buffer> {
  /// The input weights, `[G·H, C]`.
  public var weightIH: Buffer
  /// The recurrent weights, `[G·H, P]`; see `Recurrence` for what else they may be, absent in cells
  /// without them.
  public var weightHH: Buffer?
  /// The input bias, `[G·H]`, absent with `BiasMode.none`.
  public var biasIH: Buffer?
  /// The recurrent bias, `[G·H]`, present with `BiasMode.double`.
  public var biasHH: Buffer?
  /// The peepholes `[H]` of the gates i, f and o, present where the layer has them.
  public var peepholeInput: Buffer?, peepholeForget: Buffer?, peepholeOutput: Buffer?
  /// The projection, `[P, H]`, present where the layer has one.
  public var weightHR: Buffer?
  /// The gains `[G·H]` of the normalised products, present with layer normalisation.
  public var normIH: Buffer?, normHH: Buffer?
  /// The gain and the shift `[H]` of the normalised cell state; the shift is absent without biases.
  public var normCell: Buffer?, normCellBias: Buffer?

  /// Gathers a layer's parameters: `view` gives the one whose name begins so, nil where there is none.
  public init?(_ view: (String) -> Buffer?) {
    guard let weightIH = view("weight_ih") else { return nil }
    self.weightIH = weightIH
    weightHH = view("weight_hh")
    biasIH = view("bias_ih")
    biasHH = view("bias_hh")
    peepholeInput = view("weight_ci")
    peepholeForget = view("weight_cf")
    peepholeOutput = view("weight_co")
    weightHR = view("weight_hr")
    normIH = view("weight_ln_ih")
    normHH = view("weight_ln_hh")
    normCell = view("weight_ln_c")
    normCellBias = view("bias_ln_c")
  }
}

/// Where the hidden states of a layer stand in a buffer: (t, n) from `offset + (t·N + n)·stride` on.
///
/// Both are multiples of P. The two directions of a layer write `[T, N, 2·P]` side by side so.
public struct StateRows: Hashable, Sendable {
  /// The elements from one row to the next.
  public let stride: Int
  /// Where the first row begins.
  public let offset: Int

  /// Names the rows.
  public init(stride: Int, offset: Int = 0) {
    self.stride = stride
    self.offset = offset
  }
}

/// What the forward and the backward pass of one recurrent layer share.
public struct RecurrentWork<B: Backend> {
  /// Cell, sizes, options and direction.
  public var layer: RecurrentLayer
  /// T and N.
  public var sequenceLength: Int, batchSize: Int
  /// The steps of each sequence `[N]`, from 0 to T; nil means T everywhere.
  ///
  /// Past a sequence's length y is 0 and the state stands still; a reverse layer begins at a
  /// sequence's last step.
  public var lengths: B.IndexBuffer?
  /// The layer's weights and biases.
  public var parameters: RecurrentParameters<B.Buffer>
  /// The inputs, `[T, N, C]`.
  public var x: B.Buffer
  /// h₀ `[N, P]` and the states beside it `[N, M, H]`; nil means zeros.
  ///
  /// For a reverse layer the states before its first step, which is a sequence's last.
  public var initial: RecurrentState<B.Buffer>?
  /// Every hidden state: what the forward pass writes.
  public var y: B.Buffer
  /// Where the states stand in `y`, and their gradients in the buffer of those.
  public let stateRows: StateRows
  /// Made for this layer and these sizes.
  public var reserve: B.RecurrentReserve
  /// What the masks of a training pass are drawn from; with nil nothing is dropped, and zoneout is its
  /// expectation.
  public var noise: RecurrentNoise?

  /// Gathers a layer's work; without `stateRows` y is `[T, N, P]`.
  public init(
    layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, lengths: B.IndexBuffer? = nil,
    parameters: RecurrentParameters<B.Buffer>, x: B.Buffer, initial: RecurrentState<B.Buffer>?,
    y: B.Buffer, stateRows: StateRows? = nil, reserve: B.RecurrentReserve,
    noise: RecurrentNoise? = nil
  ) {
    self.layer = layer
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.lengths = lengths
    self.parameters = parameters
    self.x = x
    self.initial = initial
    self.y = y
    self.stateRows = stateRows ?? StateRows(stride: layer.stateSize)
    self.reserve = reserve
    self.noise = noise
  }
}

/// What the masks of one training pass of one unit of a stack are drawn from.
///
/// Element i of a mask is decided by `uniform(i)` of its stream: i = n·P + j for recurrent dropout,
/// (t·N + n)·P + j and (t·N + n)·H + unit for zoneout on h and c, the place in `weight_hh` for
/// DropConnect. Of a slice of a batch N is that of the batch, and n the place there.
public struct RecurrentNoise: Hashable, Sendable {
  /// The seed of the run.
  public var seed: UInt64
  /// The training step, below 2⁴⁰.
  public var step: Int
  /// The unit's place in its stack, below 2¹⁶.
  public var unit: Int
  /// The part of a long window that the pass is over, see `TrainingPass`: what is drawn for each step is
  /// another in each part, what is drawn for the whole window the same.
  public var segment: Int
  /// Which sequences of a larger batch the pass computes; nil where it computes all.
  package var slice: BatchSlice?

  /// Names the masks of one pass.
  public init(seed: UInt64, step: Int, unit: Int = 0, segment: Int = 0) {
    self.seed = seed
    self.step = step
    self.unit = unit
    self.segment = segment
  }

  /// The random numbers of recurrent dropout; `width` is P.
  public func recurrentDropout(width: Int) -> Philox { random(5, width: width) }
  /// Those of zoneout on h; `width` is P.
  public func zoneoutHidden(width: Int) -> Philox { random(6, segment: segment, width: width) }
  /// Those of zoneout on c; `width` is H.
  public func zoneoutCell(width: Int) -> Philox { random(7, segment: segment, width: width) }
  /// Those of DropConnect.
  public var dropConnect: Philox { random(8) }

  private func random(_ use: UInt64, segment: Int = 0, width: Int? = nil) -> Philox {
    var result = Philox(
      seed: RandomStream.seed(seed, segment: segment),
      stream: use << 56 | UInt64(unit) << 40 | UInt64(step))
    result.window = width.flatMap { slice?.window(width: $0) }
    return result
  }
}
