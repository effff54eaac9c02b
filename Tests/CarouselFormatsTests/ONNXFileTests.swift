import CarouselModel
import Foundation
import SwiftProtobuf
import Testing

@testable import CarouselFormats

@Suite struct ONNXFileTests {
  private func model(_ tensors: [ONNXTensorProto]) -> ONNXModelProto {
    var model = ONNXModelProto()
    model.irVersion = 8
    model.graph.name = "g"
    model.graph.initializer = tensors
    return model
  }

  private func tensor(
    _ name: String, type: Int32, _ dims: [Int64], _ fill: (inout ONNXTensorProto) -> Void
  ) -> ONNXTensorProto {
    var tensor = ONNXTensorProto()
    tensor.name = name
    tensor.dataType = type
    tensor.dims = dims
    fill(&tensor)
    return tensor
  }

  private func write(_ model: ONNXModelProto, to folder: TemporaryFolder) throws -> String {
    try folder.file("m.onnx", holding: try model.serializedBytes())
  }

  private func floats(_ count: Int) -> [Float] { (0..<count).map { Float($0 % 251) - 100.5 } }

  @Test(arguments: [1, 3000]) func numbersAreReadFromWhereverTheyStand(count: Int) throws {
    let folder = try TemporaryFolder()
    let floats = floats(count)
    let raw = floats.withUnsafeBytes { Data($0) }
    let path = try write(
      model([
        tensor("raw", type: 1, [Int64(count)]) { $0.rawData = raw },
        tensor("list", type: 1, [Int64(count), 1]) { $0.floatData = floats },
        tensor("double", type: 11, [Int64(count)]) { $0.doubleData = floats.map(Double.init) },
        tensor("half", type: 10, [2]) { $0.int32Data = [0x3C00, 0xBC00] },
        tensor("brain", type: 16, [1]) { $0.rawData = Data([0x80, 0xBF]) },
        tensor("bytes", type: 3, [3]) { $0.int32Data = [-1, 127, -128] },
        tensor("flags", type: 9, [2]) { $0.int32Data = [1, 0] },
        tensor("none", type: 7, [0]) { _ in },
      ]), to: folder)
    let file = try TensorFile(path)
    #expect(file.format == .onnx)
    let expected = floats.map(Double.init)
    #expect(try file.tensor("raw") == Tensor([count], expected))
    #expect(try file.tensor("list") == Tensor([count, 1], expected))
    #expect(try file.tensor("double") == Tensor([count], expected))
    #expect(try file.tensor("half") == Tensor([2], [1, -1]))
    #expect(try file.tensor("brain") == Tensor([1], [-1]))
    #expect(try file.tensor("bytes") == Tensor([3], [-1, 127, -128]))
    #expect(try file.tensor("flags") == Tensor([2], [1, 0]))
    #expect(try file.tensor("none") == Tensor([0], []))
  }

  @Test func largeNumbersStayInTheFile() throws {
    let folder = try TemporaryFolder()
    let path = try write(
      model([tensor("a", type: 1, [5000]) { $0.floatData = floats(5000) }]), to: folder)
    let file = try ONNXFile(path)
    #expect(file.model.graph.initializer[0].floatData.isEmpty)
    #expect(file.model.graph.initializer[0].payload.count == 20_000)
    #expect(
      try file.tensor(file.model.graph.initializer[0]).tensor.values
        == floats(5000).map(Double.init))
  }

  @Test func wholeNumbersThatMeanTheEndAreBounded() throws {
    let folder = try TemporaryFolder()
    let path = try write(
      model([tensor("a", type: 7, [2]) { $0.int64Data = [.max, .min] }]), to: folder)
    let file = try ONNXFile(path)
    #expect(
      try file.tensor(file.model.graph.initializer[0]).tensor == Tensor([2], [0x1p53, -0x1p53]))
  }

  @Test func fieldsThatAreNotNamedAreKept() throws {
    var model = model([])
    // Field 26, a configuration of devices.
    try model.merge(serializedBytes: [0xD2, 0x01, 2, 0x0A, 0x00] as [UInt8])
    let folder = try TemporaryFolder()
    let read = try ONNXFile(try write(model, to: folder)).model
    #expect(try read.serializedBytes() == (try model.serializedBytes() as [UInt8]))
  }

  private func external(_ location: String, offset: String? = nil) -> ONNXTensorProto {
    tensor("a", type: 1, [2]) { tensor in
      tensor.dataLocation = 1
      for (key, value) in [("location", location), ("offset", offset)] {
        guard let value else { continue }
        var word = ONNXStringStringEntryProto()
        (word.key, word.value) = (key, value)
        tensor.externalData.append(word)
      }
    }
  }

  @Test func numbersOfAFileBesideTheModelAreRead() throws {
    let folder = try TemporaryFolder()
    _ = try folder.file("w.bin", holding: [9, 9, 9, 9, 0, 0, 0x80, 0x3F, 0, 0, 0x80, 0xBF])
    let path = try write(model([external("w.bin", offset: "4")]), to: folder)
    #expect(try TensorFile(path).tensor("a") == Tensor([2], [1, -1]))
  }

  @Test(arguments: [
    "../w.bin", "/etc/passwd", "a/../../w.bin", "", "link.bin", "./w.bin", "..\\w.bin",
  ])
  func numbersOutsideTheFolderAreRefused(location: String) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("link.bin"), withDestinationPath: "/etc/passwd")
    let path = try write(model([external(location)]), to: folder)
    let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("'a' lies in '\(location)'") == true)
  }

  @Test func numbersBeyondTheOtherFilesEndAreRefused() throws {
    let folder = try TemporaryFolder()
    _ = try folder.file("w.bin", holding: [1, 2, 3, 4])
    for offset in ["0", "-4", "9223372036854775807", "x"] {
      let path = try write(model([external("w.bin", offset: offset)]), to: folder)
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
      #expect(error?.message.contains("but 'w.bin' has 4") == true, "\(offset)")
    }
  }

  @Test func aTensorOfAnotherSizeIsRefused() throws {
    let folder = try TemporaryFolder()
    for dims in [[3], [-1], [Int64.max, 2], [1 << 40, 1 << 40]] as [[Int64]] {
      let path = try write(
        model([tensor("a", type: 1, dims) { $0.floatData = [1, 2] }]), to: folder)
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("'a'") == true)
    }
  }

  @Test func everyCutAndEveryFlippedBitIsAnErrorOrAModel() throws {
    let folder = try TemporaryFolder()
    let whole: [UInt8] = try model([
      tensor("a", type: 1, [1100]) { $0.floatData = floats(1100) },
      tensor("b", type: 7, [2]) { $0.int64Data = [1, 2] },
    ]).serializedBytes()
    func read(_ bytes: [UInt8]) throws {
      let path = try folder.file("damaged.onnx", holding: bytes)
      do {
        let file = try TensorFile(path)
        for entry in file.entries { _ = try? file.tensor(entry) }
      } catch {
        #expect(error.kind == .badData)
      }
    }
    for count in stride(from: 0, to: whole.count, by: 37) { try read(Array(whole[..<count])) }
    for index in Array(0..<40) + Array((whole.count - 40)..<whole.count) {
      for bit in 0..<8 {
        var bytes = whole
        bytes[index] ^= 1 << bit
        try read(bytes)
      }
    }
  }

  @Test func inspectionListsInputsOperatorsAndSubgraphs() throws {
    var model = model([tensor("w", type: 1, [2]) { $0.floatData = [1, 2] }])
    func value(_ name: String) -> ONNXValueInfoProto {
      var value = ONNXValueInfoProto()
      value.name = name
      value.type.tensorType.elemType = 1
      var (open, fixed) = (ONNXTensorShapeProto.Dimension(), ONNXTensorShapeProto.Dimension())
      open.dimParam = "N"
      fixed.dimValue = 2
      value.type.tensorType.shape.dim = [open, fixed, ONNXTensorShapeProto.Dimension()]
      return value
    }
    model.graph.input = [value("x"), value("w")]
    model.graph.output = [value("y")]
    func node(_ type: String, domain: String = "") -> ONNXNodeProto {
      var node = ONNXNodeProto()
      (node.opType, node.domain) = (type, domain)
      return node
    }
    var branch = node("If")
    branch.attribute = [ONNXAttributeProto()]
    branch.attribute[0].g.node = [node("Relu"), node("Relu")]
    model.graph.node = [branch, node("Relu"), node("DynamicQuantizeLSTM", domain: "com.microsoft")]
    let folder = try TemporaryFolder()
    let found = try FileInspection(write(model, to: folder))
    #expect(found.format == "onnx")
    #expect(found.inputs.map(\.name) == ["x"] && found.outputs.map(\.name) == ["y"])
    #expect(found.inputs[0].shape == [.text("N"), .integer(2), .text("?")])
    #expect(found.tensors.map(\.name) == ["w"])
    #expect(
      found.operators == ["If": 1, "Relu": 3, "com.microsoft.DynamicQuantizeLSTM": 1])
  }
}
