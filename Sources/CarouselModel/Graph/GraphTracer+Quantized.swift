// Whole numbers: what they stand for is computed as they are, in floating-point numbers that hold them
// exactly up to 2²⁴ on a device.
extension GraphTracer {
  func traceQuantized(
    _ operation: GraphOperator, _ inputs: [Traced?]
  ) throws(CarouselError) -> [Traced] {
    func maybe(_ index: Int) -> Traced? { index < inputs.count ? inputs[index] : nil }
    func input(_ index: Int) throws(CarouselError) -> Traced {
      guard let traced = maybe(index) else { throw failure("its input \(index) is missing") }
      return traced
    }
    switch operation {
    case .dynamicQuantize: return try dynamicQuantized(input(0))
    case .quantize(let axis, let type):
      let x = try input(0)
      let scale = try along(input(1), axis, of: x)
      let zero = try maybe(2).map { zero throws(CarouselError) in try along(zero, axis, of: x) }
      return [try quantized(x, scale, zero, type: type ?? zero?.type ?? .uint8)]
    case .dequantize(let axis):
      let x = try input(0)
      let scale = try along(input(1), axis, of: x)
      let zero = try maybe(2).map { zero throws(CarouselError) in try along(zero, axis, of: x) }
      return [try binary(.multiply, centred(x, zero), scale)]
    case .matMulInteger:
      let (a, b) = (try input(0), try input(1))
      // A zero point of a is one of each row, one of b of each column.
      let aZero = try maybe(2).map { zero throws(CarouselError) in
        zero.shape.rank == 1 && zero.shape.count > 1
          ? try alias(zero, [zero.shape.count, 1]) : zero
      }
      let y = try matrixProduct(centred(a, aZero), centred(b, maybe(3)))
      return [try alias(y, y.shape, type: .int32)]
    case .convolutionInteger(let window):
      let y = try convolution(
        centred(input(0), maybe(2)), centred(input(1), maybe(3)), nil, window)
      return [try alias(y, y.shape, type: .int32)]
    default: preconditionFailure("\(operation.name) is not one of whole numbers")
    }
  }

  /// A scale or a zero point of each index of an axis, or one for all.
  private func along(_ value: Traced, _ axis: Int, of x: Traced) throws(CarouselError) -> Traced {
    guard value.shape.count > 1 else { return try alias(value, []) }
    return try channels(value, beside: x, axis: self.axis(axis, of: x))
  }

  private func centred(_ x: Traced, _ zero: Traced?) throws(CarouselError) -> Traced {
    let real = try alias(x, x.shape, type: .float32)
    guard let zero else { return real }
    return try binary(.subtract, real, alias(zero, zero.shape, type: .float32))
  }

  private func quantized(
    _ x: Traced, _ scale: Traced, _ zero: Traced?, type: GraphType
  ) throws(CarouselError) -> Traced {
    let steps = try unary(.round, binary(.divide, x, scale))
    let moved = try zero.map { zero throws(CarouselError) in
      try binary(.add, steps, alias(zero, zero.shape, type: .float32))
    }
    let range = type.range ?? -0x1p53...0x1p53
    let y = try clip(
      moved ?? steps, constant(range.lowerBound), constant(range.upperBound))
    return try alias(y, y.shape, type: type)
  }

  /// ONNX's DynamicQuantizeLinear.
  private func dynamicQuantized(_ x: Traced) throws(CarouselError) -> [Traced] {
    let axes = Array(0..<x.shape.rank)
    func extreme(_ reduction: ReduceFunction, _ function: BinaryFunction) throws(CarouselError)
      -> Traced
    {
      try binary(
        function, reduce(reduction, x, axes: axes, keepsDimensions: false), constant(0))
    }
    let (low, high) = (try extreme(.minimum, .minimum), try extreme(.maximum, .maximum))
    // Of zeros alone the scale is 1, as ONNX Runtime has it.
    let span = try binary(.subtract, high, low)
    let scale = try select(
      binary(.equal, span, constant(0)), constant(1),
      unary(.affine(scale: 1 / 255, shift: 0), span))
    let zero = try unary(
      .round,
      clip(binary(.divide, unary(.negate, low), scale), constant(0), constant(255)))
    let y = try quantized(x, scale, zero, type: .uint8)
    return [y, scale, try alias(zero, [], type: .uint8)]
  }
}
