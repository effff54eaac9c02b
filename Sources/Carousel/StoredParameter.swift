import CarouselFormats
import CarouselModel

/// A parameter as a file holds it.
enum StoredParameter: Sendable {
  /// A tensor in memory.
  case memory(Tensor)
  /// The tensor of this name.
  case tensor(String)
  /// Weight normalisation (Salimans & Kingma 2016): g·v/‖v‖, the norm over the dimensions in which g
  /// has one element.
  case weightNorm(g: String, v: String)

  /// The tensors of the file that it is made of.
  var names: [String] {
    switch self {
    case .memory: []
    case .tensor(let name): [name]
    case .weightNorm(let g, let v): [g, v]
    }
  }

  /// The parameter's shape, nil where a tensor of it is not in the file.
  func shape(in file: TensorFile?) -> Shape? {
    switch self {
    case .memory(let tensor): tensor.shape
    case .tensor(let name): file?[name]?.shape
    case .weightNorm(_, let v): file?[v]?.shape
    }
  }

  /// Reads the parameter, and forms the product where it has two factors.
  func tensor(in file: TensorFile?) throws(CarouselError) -> Tensor {
    switch self {
    case .memory(let tensor): return tensor
    case .tensor(let name): return try Self.read(name, in: file)
    case .weightNorm(let g, let v):
      let (magnitude, direction) = (try Self.read(g, in: file), try Self.read(v, in: file))
      guard let product = Tensor(magnitude, times: direction) else {
        throw CarouselError(
          .badData,
          "\(file?.path ?? ""): the tensor '\(g)' has the shape \(magnitude.shape), which is not "
            + "that of norms of '\(v)' \(direction.shape)")
      }
      return product
    }
  }

  private static func read(_ name: String, in file: TensorFile?) throws(CarouselError) -> Tensor {
    guard let tensor = try file?.tensor(name) else {
      preconditionFailure("the tensor '\(name)' is not in the file")
    }
    return tensor
  }
}

extension Tensor {
  /// g·v/‖v‖; nil where the shapes do not fit.
  fileprivate init?(_ g: Tensor, times v: Tensor) {
    let extents =
      g.shape.count == 1 ? v.shape.dimensions.map { _ in 1 } : g.shape.dimensions
    let pairs = Array(zip(v.shape.dimensions, extents))
    guard extents.count == v.shape.rank, pairs.allSatisfy({ $1 == 1 || $0 == $1 }) else {
      return nil
    }
    // The element of g that belongs to each element of v.
    let indices = pairs.reduce([0]) { bases, pair in
      bases.flatMap { base in
        (0..<pair.0).map { base * pair.1 + (pair.1 == 1 ? 0 : $0) }
      }
    }
    let (magnitudes, directions) = (g.values, v.values)
    var squares = [Double](repeating: 0, count: magnitudes.count)
    for (index, value) in zip(indices, directions) { squares[index] += value * value }
    let scales = zip(magnitudes, squares).map { $0 / $1.squareRoot() }
    self.init(v.shape, zip(indices, directions).map { scales[$0] * $1 })
  }
}
