import CarouselFormats
import CarouselModel

extension ONNXImporter {
  /// Whole numbers in the place of floating-point ones.
  static let quantizedOperators: [String: OperatorImporter] = [
    "DynamicQuantizeLinear": same(.dynamicQuantize),
    "QuantizeLinear": { (importer, node) throws(CarouselError) in
      try node.require("block_size", try node.int("block_size", 0) == 0, "above 0")
      let number = try node.int("output_dtype", 0)
      let type = number == 0 ? nil : type(Int32(clamping: number))
      guard number == 0 || type != nil else {
        throw node.failure(
          "makes \(ONNXType.name(Int32(clamping: number))), which is not supported")
      }
      let zero = try node.input(2).flatMap { name throws(CarouselError) in try importer.known(name)
      }
      try node.require("the zero point", zero?.type != .int64 && type != .int64, "of 16 bits")
      try importer.emit(.quantize(axis: try node.int("axis", 1), type: type), for: node)
    },
    "DequantizeLinear": { (importer, node) throws(CarouselError) in
      try node.require("block_size", try node.int("block_size", 0) == 0, "above 0")
      try importer.emit(.dequantize(axis: try node.int("axis", 1)), for: node)
    },
    "MatMulInteger": same(.matMulInteger),
    "ConvInteger": { (importer, node) throws(CarouselError) in
      try importer.emit(.convolutionInteger(try importer.convolution(node)), for: node)
    },
    "com.microsoft.DynamicQuantizeLSTM": { (importer, node) throws(CarouselError) in
      try importer.importQuantizedLSTM(node)
    },
  ]
}
