/// What stands between the hidden states of two steps.
///
/// Each gate's matrix is K blocks along its diagonal, each of H/K units and P/K states: one block is the
/// full matrix, H blocks a diagonal.
public enum Recurrence: Hashable, Sendable {
  /// A full matrix for each gate: `weight_hh [G·H, P]`.
  case dense
  /// A diagonal one, `weight_hh [G·H]`: each unit remembers by itself (for the RNN this is IndRNN, Li
  /// et al. 2018).
  case diagonal
  /// K blocks along the diagonal, heads that remember apart: `weight_hh [G, K, H/K, P/K]`.
  case blocks(Int)
  /// Nothing: the cell has no recurrent weights. No option asks for it; see `RecurrentLayer.recurrence`.
  case absent
}

extension Recurrence: RawRepresentable, Codable {
  /// Reads `dense`, `diagonal` or `blocks:K`.
  public init?(rawValue: String) {
    switch rawValue {
    case "dense": self = .dense
    case "diagonal": self = .diagonal
    default:
      guard rawValue.hasPrefix("blocks:"), let count = Int(rawValue.dropFirst("blocks:".count))
      else { return nil }
      self = .blocks(count)
    }
  }

  /// `dense`, `diagonal` or `blocks:K`.
  public var rawValue: String {
    switch self {
    case .absent: "absent"
    case .dense: "dense"
    case .diagonal: "diagonal"
    case .blocks(let count): "blocks:\(count)"
    }
  }
}

/// Where the reset gate of a GRU stands.
public enum GRUReset: String, Hashable, Sendable, Codable, CaseIterable {
  /// `n = tanh(x·Wᵀ + r⊙(h₋₁·Rᵀ + b_hh))`: cuDNN, PyTorch.
  case after
  /// `n = tanh(x·Wᵀ + (r⊙h₋₁)·Rᵀ + b_hh)`: Cho et al. 2014, ONNX's default.
  case before
}
