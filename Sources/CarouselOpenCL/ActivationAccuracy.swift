import Foundation
import OpenCLDriver

/// A function of `common/activation.cl` with its true value and the error that it may have.
package enum MeasuredFunction: String, CaseIterable, Sendable {
  case exponential
  case exponentialMinusOne = "exponential-minus-one"
  case sigmoid
  case tanh
  case scaledTanh = "scaled-tanh"
  case hardSigmoid = "hard-sigmoid"
  case elu
  case softsign
  case softplus
  case positive

  /// α and β where the function has them: 1.7159 and 2/3 of LeCun's scaled tanh, else ONNX's defaults.
  private var parameters: (alpha: Float, beta: Float) {
    switch self {
    case .scaledTanh: (1.7159, 0.6666667)
    case .hardSigmoid: (0.2, 0.5)
    default: (1, 0)
    }
  }

  /// The function in Float64 of a Float32 number, its limits included; not defined for x > 0 where the
  /// kernels only use it for x ≤ 0.
  package func exact(_ x: Double) -> Double {
    let (alpha, beta) = (Double(parameters.alpha), Double(parameters.beta))
    switch self {
    case .exponential: return exp(x)
    case .exponentialMinusOne: return expm1(x)
    case .sigmoid: return 1 / (1 + exp(-x))
    case .tanh: return Foundation.tanh(x)
    case .scaledTanh: return alpha * Foundation.tanh(beta * x)
    case .hardSigmoid: return min(max(alpha * x + beta, 0), 1)
    case .elu: return x < 0 ? expm1(x) : x
    case .softsign: return x.isInfinite ? (x < 0 ? -1 : 1) : x / (1 + x.magnitude)
    case .softplus: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))
    case .positive: return x < 0 ? 1 / (1 + exp(-x)) : x + 0.5
    }
  }

  /// Whether the kernels use the function for x ≤ 0 alone.
  package var isForNegatives: Bool { self == .exponential || self == .exponentialMinusOne }

  /// The largest error in ulps of Float32 where division is rounded correctly.
  package var bound: Double {
    switch self {
    case .exponential: 1
    case .exponentialMinusOne, .elu: 1.5
    case .sigmoid, .positive: 2.5
    case .tanh: 3.5
    case .scaledTanh: 4
    case .hardSigmoid: 0.5
    case .softsign: 1.5
    case .softplus: 2
    }
  }

  /// The ulps that a division costs beyond `bound` where it may be wrong by 2.5 ulps, as OpenCL lets it.
  package var divisionAllowance: Double {
    switch self {
    case .sigmoid, .tanh, .scaledTanh, .softsign, .positive: 2
    default: 0
    }
  }

  fileprivate var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  /// The OpenCL expression of the function of `value`.
  fileprivate var expression: String {
    let (alpha, beta) = parameters
    func activation(_ name: String) -> String {
      "activate(\(name), (REAL)(\(alpha)f), (REAL)(\(beta)f), value)"
    }
    switch self {
    case .exponential: return "exponential(value)"
    case .exponentialMinusOne: return "exponential_minus_one(value)"
    case .sigmoid: return activation("SIGMOID")
    case .tanh: return activation("TANH")
    case .scaledTanh: return activation("SCALED_TANH")
    case .hardSigmoid: return activation("HARD_SIGMOID")
    case .elu: return activation("ELU")
    case .softsign: return activation("SOFTSIGN")
    case .softplus: return activation("SOFTPLUS")
    case .positive: return activation("POSITIVE")
    }
  }
}

/// A kernel that applies the functions of `common/activation.cl` to a vector of numbers.
package struct ActivationKernel {
  private let backend: OpenCLBackend
  private let kernel: Kernel
  private let bitsKernel: Kernel
  private let width: Int

  /// Compiles for vectors of `width` floats, 1 as in the kernels for GPUs.
  package init(_ backend: OpenCLBackend, width: Int) throws {
    let cases = MeasuredFunction.allCases.enumerated().map { index, function in
      "case \(index): result = \(function.expression); break;"
    }
    let text = """
      OUTLINE void apply(REAL value, global float *y, int function) {
        REAL result = value;
        switch (function) {
        \(cases.joined(separator: "\n  "))
        }
        VSTORE(result, 0, y);
      }
      kernel void activations(global const float *x, global float *y, int function) {
        const int i = get_global_id(0) * WIDTH;
        apply(VLOAD(0, x + i), y + i, function);
      }
      kernel void activations_of_bits(global float *y, uint first, uint spacing, int function) {
        const int i = get_global_id(0) * WIDTH;
        float x[WIDTH];
        for (int lane = 0; lane < WIDTH; ++lane) x[lane] = as_float(first + (i + lane) * spacing);
        apply(VLOAD(0, x), y + i, function);
      }
      """
    let source = try KernelSources.program(["common/activation.cl"]) + text
    self.backend = backend
    self.width = width
    let program = try backend.launcher.queue.context.program(
      name: "activations", source: source, options: ["-DWIDTH=\(width)"])
    kernel = try program.kernel("activations")
    bitsKernel = try program.kernel("activations_of_bits")
  }

  /// The function at the floats with the bits `first`, `first` + `step`, …, `count` of them.
  package func values(
    of function: MeasuredFunction, first: UInt32, step: UInt32, count: Int
  ) throws -> [Double] {
    let rows = (count + width - 1) / width
    let y = try backend.makeBuffer(count: rows * width)
    try backend.launcher.queue.launch(
      bitsKernel, global: [rows],
      arguments: [
        "y": .buffer(y), "first": .uint32(first), "spacing": .uint32(step),
        "function": .int(function.index),
      ])
    return try backend.read(y, count: count)
  }

  /// The function at every x, which are Float32 numbers.
  package func values(of function: MeasuredFunction, at x: [Double]) throws -> [Double] {
    let rows = (x.count + width - 1) / width
    let buffers = try (0..<2).map { _ in try backend.makeBuffer(count: rows * width) }
    try backend.write(
      x + [Double](repeating: 0, count: rows * width - x.count), to: buffers[0])
    try backend.launcher.queue.launch(
      kernel, global: [rows],
      arguments: [
        "x": .buffer(buffers[0]), "y": .buffer(buffers[1]), "function": .int(function.index),
      ])
    return try backend.read(buffers[1], count: x.count)
  }
}

/// The largest error of a function over many numbers.
package struct ActivationError: Sendable {
  /// In ulps, each 2⁻²³ of the power of two at or below the true value; infinite where a NaN does not stay one, a number becomes one,
  /// or an infinite value is missed.
  package private(set) var ulps = 0.0
  /// Where it is.
  package private(set) var x = 0.0
  /// How many numbers were tried.
  package private(set) var count = 0

  /// No error yet.
  package init() {}

  /// Adds y, computed as the function of x.
  ///
  /// Where the true value is below the smallest normal number, a device may give 0 or that number for it.
  package mutating func add(_ function: MeasuredFunction, x: Double, y: Double) {
    count += 1
    let error = x.isNaN ? (y.isNaN ? 0 : .infinity) : Self.ulps(y, exact: function.exact(x))
    if !(error <= ulps) { (ulps, self.x) = (error.isNaN ? .infinity : error, x) }
  }

  /// The larger of two.
  package mutating func merge(_ other: ActivationError) {
    count += other.count
    if other.ulps > ulps { (ulps, x) = (other.ulps, other.x) }
  }

  private static func ulps(_ y: Double, exact: Double) -> Double {
    if y == exact { return 0 }
    let smallest = Double(Float.leastNormalMagnitude)
    if exact.magnitude < smallest, y.magnitude <= smallest { return 0 }
    // The power of two of the exact value, 2⁻²³ of it: that of a Float32 number in the same binade.
    let binade = Double(bitPattern: exact.bitPattern & 0x7FF0_0000_0000_0000)
    return (y - exact).magnitude / (max(binade, smallest) * 0x1p-23)
  }
}
