/// All parameters of a network, and their gradients, each set in one buffer.
///
/// The tensors lie one behind the other, each from a multiple of the backend's slice alignment on,
/// with zeros between, so that a norm or an optimizer step is one operation however many tensors
/// there are.
public final class ParameterStore<B: Backend> {
  /// The backend in whose memory the parameters are.
  public let backend: B
  /// The parameters in order.
  public let descriptions: [ParameterDescription]
  /// Where each parameter begins in `values`, and its gradient in `gradients`.
  public let offsets: [Int]
  /// The elements of `values` and of `gradients`, the gaps included.
  public let count: Int
  /// All parameters.
  public let values: B.Buffer
  /// All gradients; the gaps stay 0.
  public let gradients: B.Buffer

  private let valueViews: [String: B.Buffer]
  private let gradientViews: [String: B.Buffer]

  /// Allocates parameters and gradients, and draws the initial values: the same for every backend.
  ///
  /// With `seed` nil all parameters are 0, to be loaded.
  public init(_ descriptions: [ParameterDescription], backend: B, seed: UInt64?) throws {
    var offsets: [Int] = []
    var end = 0
    for description in descriptions {
      offsets.append(end)
      let alignment = backend.sliceAlignment
      end += (description.shape.count + alignment - 1) / alignment * alignment
    }
    let values = try backend.makeBuffer(count: end)
    let gradients = try backend.makeBuffer(count: end)
    var valueViews: [String: B.Buffer] = [:]
    var gradientViews: [String: B.Buffer] = [:]
    for (index, (description, offset)) in zip(descriptions, offsets).enumerated() {
      let (name, count) = (description.name, description.shape.count)
      guard valueViews[name] == nil else {
        throw CarouselError(.usage, "two parameters are named '\(name)'")
      }
      let view = try backend.slice(values, offset: offset, count: count)
      valueViews[name] = view
      gradientViews[name] = try backend.slice(gradients, offset: offset, count: count)
      if let seed {
        let random = Philox(seed: seed, stream: RandomStream.initialization(parameter: index))
        try backend.write(
          description.initializer.values(count: count, random: random), to: view)
      }
    }
    self.backend = backend
    self.descriptions = descriptions
    self.offsets = offsets
    self.count = end
    self.values = values
    self.gradients = gradients
    self.valueViews = valueViews
    self.gradientViews = gradientViews
  }

  /// The parameter of this name; throws where it is not one of `descriptions`.
  public func value(_ name: String) throws(CarouselError) -> B.Buffer {
    try Self.view(name, in: valueViews)
  }

  /// The gradient of the parameter of this name; throws where it is not one of `descriptions`.
  public func gradient(_ name: String) throws(CarouselError) -> B.Buffer {
    try Self.view(name, in: gradientViews)
  }

  /// Where the parameter of this name begins in `values`; throws where it is not one of `descriptions`.
  package func offset(_ name: String) throws(CarouselError) -> Int {
    guard let index = descriptions.firstIndex(where: { $0.name == name }) else {
      throw CarouselError(.usage, "no parameter is named '\(name)'")
    }
    return offsets[index]
  }

  private static func view(
    _ name: String, in views: [String: B.Buffer]
  ) throws(CarouselError) -> B.Buffer {
    guard let view = views[name] else {
      throw CarouselError(.usage, "no parameter is named '\(name)'")
    }
    return view
  }

  /// The parameters of a recurrent layer, named `prefix`, the parameter, `suffix`; throws where there is
  /// no such layer.
  public func recurrent(
    prefix: String, suffix: String
  ) throws(CarouselError) -> RecurrentParameters<B.Buffer> {
    try Self.recurrent(valueViews, prefix: prefix, suffix: suffix)
  }

  /// The gradients of the parameters of a recurrent layer.
  public func recurrentGradients(
    prefix: String, suffix: String
  ) throws(CarouselError) -> RecurrentParameters<B.Buffer> {
    try Self.recurrent(gradientViews, prefix: prefix, suffix: suffix)
  }

  private static func recurrent(
    _ views: [String: B.Buffer], prefix: String, suffix: String
  ) throws(CarouselError) -> RecurrentParameters<B.Buffer> {
    guard let parameters = RecurrentParameters({ views[prefix + $0 + suffix] }) else {
      throw CarouselError(.usage, "no recurrent layer '\(suffix)' is under '\(prefix)'")
    }
    return parameters
  }

  /// Reads every parameter back, in order.
  public func tensors() throws -> [(name: String, tensor: Tensor)] { try read(value) }

  /// Reads every gradient back, in order.
  public func gradientTensors() throws -> [(name: String, tensor: Tensor)] { try read(gradient) }

  private func read(
    _ view: (String) throws -> B.Buffer
  ) throws -> [(name: String, tensor: Tensor)] {
    try descriptions.map { description in
      (description.name, try backend.readTensor(view(description.name), description.shape))
    }
  }

  /// Overwrites every parameter; `source` names where the tensors come from, for the error.
  ///
  /// Throws where one is missing, of another shape or not finite; the store is then unchanged.
  public func load(_ tensors: [String: Tensor], source: String) throws {
    let ordered = try descriptions.map { description throws(CarouselError) in
      guard let tensor = tensors[description.name] else {
        throw CarouselError(
          .badData, "\(source): the tensor '\(description.name)' is missing")
      }
      guard tensor.shape == description.shape else {
        throw CarouselError(
          .badData,
          "\(source): the tensor '\(description.name)' has the shape \(tensor.shape), "
            + "expected \(description.shape)")
      }
      guard tensor.firstNonFinite(in: backend.elementType) == nil else {
        throw CarouselError(
          .badData,
          "\(source): the tensor '\(description.name)' holds a value that is not finite")
      }
      return try (view: value(description.name), tensor: tensor)
    }
    for (view, tensor) in ordered { try backend.write(tensor, to: view) }
  }
}

/// What keeps one use of random numbers apart from another under the same seed; 5 to 8 are those of
/// `RecurrentNoise`.
public enum RandomStream {
  /// The initial values of a parameter.
  public static func initialization(parameter: Int) -> UInt64 { 1 << 56 | UInt64(parameter) }
  /// The dropout mask on the output of `layer` (−1 stands for the embedding) in training step `step`.
  public static func dropout(layer: Int, step: Int) -> UInt64 {
    2 << 56 | UInt64(layer + 1) << 40 | UInt64(step)
  }
  /// The seed of what is drawn for the steps of a part of a long window: its own where the part is not
  /// the first.
  static func seed(_ seed: UInt64, segment: Int) -> UInt64 { seed &+ UInt64(segment) << 32 }
  /// The characters drawn when text is generated.
  public static let sampling: UInt64 = 3 << 56
  /// Inputs that a check draws for itself; `index` counts them.
  public static func input(_ index: Int) -> UInt64 { 4 << 56 | UInt64(index) }
}
