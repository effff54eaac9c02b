/// A parameter before it has values: its name, its shape and how it begins.
public struct ParameterDescription: Hashable, Sendable {
  /// The name behind its prefix, as in a PyTorch state_dict: `recurrent.weight_ih_l0`.
  public var name: String
  /// The extents, outermost first.
  public var shape: Shape
  /// What the values are before training.
  public var initializer: Initializer

  /// Describes a parameter.
  public init(_ name: String, _ shape: Shape, _ initializer: Initializer) {
    self.name = name
    self.shape = shape
    self.initializer = initializer
  }
}

/// What a parameter's values are before training.
public enum Initializer: Hashable, Sendable {
  /// All the same.
  case constant(Double)
  /// Uniform in [−bound, bound), as PyTorch begins recurrent and linear layers.
  case uniform(Double)
  /// The same, but for the elements of a range, which all begin as one value.
  case uniformExcept(Double, range: Range<Int>, value: Double)
  /// Normal with mean 0 and this standard deviation, as PyTorch begins embeddings.
  case normal(Double)

  /// Draws `count` values, rounded to Float32 so that every backend begins alike.
  public func values(count: Int, random: Philox) -> [Double] {
    switch self {
    case .constant(let value): return [Double](repeating: value, count: count)
    case .uniform(let bound):
      return random.uniforms(count: count).map { Double(Float((2 * $0 - 1) * bound)) }
    case .uniformExcept(let bound, let range, let value):
      var values = Initializer.uniform(bound).values(count: count, random: random)
      for index in range { values[index] = value }
      return values
    case .normal(let deviation):
      return (0..<count).map { Double(Float(random.normal($0) * deviation)) }
    }
  }
}
