import CarouselModel
import Foundation

/// The LSTM with exponential gates, a normalizer n and a stabilizer m.
///
/// With ã = a + u of each gate:
///
///     m = max(log σ(f̃) + m₋₁, ĩ)    i = exp(ĩ − m)    f = exp(log σ(f̃) + m₋₁ − m)
///     z = tanh(z̃)    o = σ(õ)        c = f·c₋₁ + i·z    n = f·n₋₁ + i    h = o·c/n
///
/// m keeps i and f from overflowing and leaves h as it is. Where n is 0, i is below every number and
/// nothing is remembered: c/n is z then, its limit. Beck et al. 2024 (xLSTM).
struct SLSTM: UnitCell {
  /// i, f, z, o, the slope of log σ at f̃, and the share of ∂m that goes by way of f.
  static let keptCount = 6
  private static let (keptInput, keptForget, keptCell, keptOutput) = (0, 1, 2, 3)
  private static let (keptSlope, keptShare) = (4, 5)

  private let rows: (input: Int, forget: Int, cell: Int, output: Int)
  private let cellActivation: Activation
  private let outputActivation: Activation

  init(_ layer: RecurrentLayer) {
    rows = (layer.row("input"), layer.row("forget"), layer.row("cell"), layer.row("output"))
    cellActivation = layer.activation("cell")
    outputActivation = layer.activation("output")
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    func sum(_ row: Int) -> Double { a[row, unit] + u[row, unit] }
    let (c, n, m) = (previous.memory[0], previous.memory[1], previous.memory[2])
    let exponent = sum(rows.input)
    let remembered = Self.logSigmoid(sum(rows.forget)) + m
    let stabilizer = remembered > exponent ? remembered : exponent
    let (i, f) = (exp(exponent - stabilizer), exp(remembered - stabilizer))
    let (z, o) = (cellActivation(sum(rows.cell)), outputActivation(sum(rows.output)))
    kept[Self.keptInput, unit] = i
    kept[Self.keptForget, unit] = f
    kept[Self.keptCell, unit] = z
    kept[Self.keptOutput, unit] = o
    kept[Self.keptSlope, unit] = 1 / (1 + exp(sum(rows.forget)))
    kept[Self.keptShare, unit] =
      remembered > exponent ? 1 : remembered == exponent ? 0.5 : 0
    let memory = UnitMemory(f * c + i * z, f * n + i, stabilizer, 0)
    return UnitState(hidden: o * Self.quotient(memory, limit: z), memory: memory)
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let (i, f) = (kept[Self.keptInput, unit], kept[Self.keptForget, unit])
    let (z, o) = (kept[Self.keptCell, unit], kept[Self.keptOutput, unit])
    let quotient = Self.quotient(memory, limit: z)
    let gradQuotient = gradient.output * o
    let isLimit = memory[1] == 0
    let gradC = gradient.memory[0] + (isLimit ? 0 : gradQuotient / memory[1])
    let gradN = gradient.memory[1] - (isLimit ? 0 : gradQuotient * quotient / memory[1])

    // By way of i and f to their exponents, and to m, which these have in common.
    let byInput = (gradC * z + gradN) * i
    let byForget = (gradC * previous.memory[0] + gradN * previous.memory[1]) * f
    let gradM = gradient.memory[2] - byInput - byForget
    let share = kept[Self.keptShare, unit]
    let gradRemembered = byForget + share * gradM
    func store(_ grad: Double, _ row: Int) {
      gradInput[row, unit] = grad
      gradRecurrent[row, unit] = grad
    }
    store(byInput + (1 - share) * gradM, rows.input)
    store(gradRemembered * kept[Self.keptSlope, unit], rows.forget)
    store(
      (gradC * i + (isLimit ? gradQuotient : 0)) * cellActivation.derivative(z), rows.cell)
    store(gradient.output * quotient * outputActivation.derivative(o), rows.output)
    return UnitState(hidden: 0, memory: UnitMemory(gradC * f, gradN * f, gradRemembered, 0))
  }

  /// c/n, or its limit where both are 0.
  private static func quotient(_ memory: UnitMemory, limit: Double) -> Double {
    memory[1] == 0 ? limit : memory[0] / memory[1]
  }

  private static func logSigmoid(_ x: Double) -> Double { min(x, 0) - log1p(exp(-x.magnitude)) }
}
