/// The gradient of a loss at the last step, as it arrives at one step: its Euclidean norm over all
/// sequences and units.
public struct GradientNorm: Hashable, Sendable, Codable {
  /// t, from 1 to T: the step after which the state stands.
  public let step: Int
  /// The norm ‖∂loss/∂h_t‖.
  public let hidden: Double
  /// ‖∂loss/∂c_t‖, every way through h_t included; nil for a cell without c.
  public let cell: Double?

  /// Gathers the norms of one step.
  public init(step: Int, hidden: Double, cell: Double?) {
    self.step = step
    self.hidden = hidden
    self.cell = cell
  }

  private enum CodingKeys: CodingKey {
    case step, hidden, cell
  }

  /// Writes `null` for what the cell does not have.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(step, forKey: .step)
    try container.encode(hidden, forKey: .hidden)
    try container.encode(cell, forKey: .cell)
  }
}
