import CarouselModel
import OpenCLDriver

// The twin of elementwise.cl.
extension OpenCLBackend {
  /// Queues one launch of a program for the function.
  public func elementwise(
    _ function: ElementwiseFunction, _ inputs: [(buffer: Buffer, view: StridedView)],
    into y: Buffer,
    extents: [Int]
  ) throws {
    try checkElementwise(function, inputs, y, extents: extents)
    let result = StridedView(Shape(extents))
    let count = result.count
    guard count > 0 else { return }
    let name = function.kernelName
    let layout = ViewLayout([result] + inputs.map(\.view))
    let width = launcher.parameters.width
    let plane = launcher.parameters.lanes == 1 ? layout.plane(width: width) : nil
    let options =
      ["-DITEM=\(elementsPerItem)", "-DPLANES=\(plane == nil ? 0 : 1)"] + function.options
      + ["-DINPUTS=\(inputs.count)"]
    func input(_ index: Int) -> Buffer { inputs[min(index, inputs.count - 1)].buffer }
    let buffers: KernelArguments = [
      "x0": .buffer(input(0)), "x1": .buffer(input(1)), "x2": .buffer(input(2)),
      "x3": .buffer(input(3)), "y": .buffer(y),
      "layout": .buffer(try launcher.layout(layout.numbers)),
    ]
    let numbers: KernelArguments = ["p": .float(Float(name.p)), "q": .float(Float(name.q))]
    let (flops, bytes) = (
      Double(count * function.stepCount), 4 * Double(count * (inputs.count + 1))
    )
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: ["ops/elementwise.cl"], options: options)
    }
    if let plane {
      try launcher.launch(
        kernel("elementwise_planes"),
        global: [ceilDivide(plane.rows, width), count / (plane.rows * plane.columns)],
        flops: flops, bytes: bytes, buffers + numbers)
    } else {
      try launcher.launch(
        kernel("elementwise"), items: ceilDivide(count, elementsPerItem), flops: flops,
        bytes: bytes, buffers + ["count": .int(count)] + numbers)
    }
  }
}

extension ElementwiseFunction {
  /// What a program of the function is built with: FUNCTION, and of a chain CHAIN, its steps.
  fileprivate var options: [String] {
    guard case .chain(let chain) = self else { return ["-DFUNCTION=VALUE_\(kernelName.function)"] }
    // Inputs are v0 to v3, whatever their number.
    func number(_ place: Int) -> Int {
      place < chain.inputCount ? place : place - chain.inputCount + ElementwiseChain.maximumInputs
    }
    func bits(_ value: Double) -> String { "0x" + String(Float(value).bitPattern, radix: 16) + "u" }
    let steps = chain.steps.enumerated().map { index, step in
      let operands = (0..<4).map { number(step.operands[min($0, step.operands.count - 1)]) }
      let name = step.function.kernelName
      let arguments =
        [number(chain.inputCount + index)].map(String.init) + [name.function]
        + operands.map(String.init) + [bits(name.p), bits(name.q)]
      return "STEP(\(arguments.joined(separator: ",")))"
    }
    let last = number(chain.inputCount + chain.steps.count - 1)
    return ["-DFUNCTION=v\(last)", "-DCHAIN=" + steps.joined()]
  }

  /// The function's name in `elementwise.cl`, and its parameters p and q.
  fileprivate var kernelName: (function: String, p: Double, q: Double) {
    switch self {
    case .unary(let function): function.kernelName
    case .binary(let function): (function.kernelName, 0, 0)
    case .wholeDivide: ("whole_divide", 0, 0)
    case .truncate: ("truncate", 0, 0)
    case .isTrue: ("is_true", 0, 0)
    case .select: ("select", 0, 0)
    case .clip: ("clip", 0, 0)
    case .multiplyAdd: ("multiply_add", 0, 0)
    case .unarySlope(let function):
      ("slope_" + function.kernelName.function, function.kernelName.p, function.kernelName.q)
    case .binarySlope(let function, let isSecond):
      ((isSecond ? "second_" : "first_") + function.kernelName, 0, 0)
    case .clipSlope: ("clip_slope", 0, 0)
    case .chain: ("identity", 0, 0)
    }
  }
}

extension UnaryFunction {
  fileprivate var kernelName: (function: String, p: Double, q: Double) {
    switch self {
    case .identity: ("identity", 0, 0)
    case .absolute: ("absolute", 0, 0)
    case .negate: ("negate", 0, 0)
    case .sign: ("sign", 0, 0)
    case .floor: ("floor", 0, 0)
    case .ceiling: ("ceiling", 0, 0)
    case .round: ("round", 0, 0)
    case .exponential: ("exponential", 0, 0)
    case .logarithm: ("logarithm", 0, 0)
    case .squareRoot: ("square_root", 0, 0)
    case .reciprocal: ("reciprocal", 0, 0)
    case .sine: ("sine", 0, 0)
    case .cosine: ("cosine", 0, 0)
    case .errorFunction: ("error_function", 0, 0)
    case .sigmoid: ("sigmoid", 0, 0)
    case .tanh: ("tanh", 0, 0)
    case .relu: ("relu", 0, 0)
    case .leakyRelu(let alpha): ("leaky_relu", alpha, 0)
    case .thresholdedRelu(let alpha): ("thresholded_relu", alpha, 0)
    case .elu(let alpha): ("elu", alpha, 0)
    case .selu(let alpha, let gamma): ("selu", alpha, gamma)
    case .hardSigmoid(let alpha, let beta): ("hard_sigmoid", alpha, beta)
    case .softplus: ("softplus", 0, 0)
    case .softsign: ("softsign", 0, 0)
    case .silu: ("silu", 0, 0)
    case .gelu: ("gelu", 0, 0)
    case .affine(let scale, let shift): ("affine", scale, shift)
    case .not: ("not", 0, 0)
    case .isNaN: ("is_nan", 0, 0)
    }
  }
}

extension BinaryFunction {
  fileprivate var kernelName: String {
    switch self {
    case .lessOrEqual: "less_or_equal"
    case .greaterOrEqual: "greater_or_equal"
    case .exclusiveOr: "exclusive_or"
    default: rawValue
    }
  }
}
