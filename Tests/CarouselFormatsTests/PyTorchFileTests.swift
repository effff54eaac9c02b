import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// Files that `Tools/make-pytorch-files` had PyTorch write.
@Suite struct PyTorchFileTests {
  private func file(_ name: String) throws -> TensorFile {
    try TensorFile(path(name))
  }

  private func path(_ name: String) throws -> String {
    let url = Bundle.module.url(forResource: name, withExtension: "pt", subdirectory: "PyTorch")
    return try #require(url).path
  }

  private func values(_ shape: Shape) -> Tensor {
    let count = shape.count
    return Tensor(shape, (0..<count).map { Double($0 + 1) / 8 - Double(count) / 16 })
  }

  /// `old` has the form from before PyTorch 1.6.
  @Test(arguments: ["state_dict", "state_dict-protocol4", "old"])
  func stateDictIsRead(name: String) throws {
    let file = try file(name)
    let shapes: [(String, Shape)] = [
      ("lstm.weight_ih_l0", [8, 3]), ("lstm.weight_hh_l0", [8, 2]), ("lstm.bias_ih_l0", [8]),
      ("lstm.bias_hh_l0", [8]), ("fc.weight", [4, 2]), ("fc.bias", [4]),
    ]
    #expect(file.entries.map(\.name) == shapes.map(\.0))
    for (name, shape) in shapes { #expect(try file.tensor(name) == values(shape), "\(name)") }
  }

  @Test func nestedDictsBecomeNamesWithDots() throws {
    let file = try file("checkpoint")
    #expect(try file.tensor("model_state.lstm.weight_hh_l0") == values([8, 2]))
    #expect(try file.tensor("parameters.0") == values([2, 3]))
    #expect(file["optimizer.state.0.exp_avg"]?.shape == [8, 3])
    #expect(file["optimizer.state.5.step"]?.shape == [])
    #expect(file["epoch"] == nil)
  }

  @Test func everyTypeIsReadOrRefusedByName() throws {
    let file = try file("types")
    for name in ["f64", "f16", "bf16"] { #expect(try file.tensor(name) == values([5]), "\(name)") }
    #expect(try file.tensor("i64") == Tensor([2], [-0x1p40, 7]))
    #expect(try file.tensor("i32") == Tensor([2], [-5, 6]))
    #expect(try file.tensor("u8") == Tensor([2], [0, 255]))
    #expect(try file.tensor("scalar") == values([]))
    #expect(try file.tensor("empty") == values([0, 3]))
    #expect(try file.tensor("i16") == Tensor([2], [-5, 6]))
    #expect(try file.tensor("bool") == Tensor([2], [1, 0]))
    #expect(try file.tensor("u16") == Tensor([2], [1, 65535]))
    for (name, type) in [("complex", "C64"), ("float8", "F8_E4M3")] {
      #expect(file[name]?.type == type)
      let error = failure { () throws(CarouselError) in _ = try file.tensor(name) }
      #expect(error?.message.contains("'\(name)' has the dtype '\(type)'") == true)
    }
  }

  @Test func viewsAreGathered() throws {
    let file = try file("views")
    let base = values([4, 6])
    #expect(try file.tensor("base") == base)
    let transposed = (0..<24).map { base.values[$0 % 4 * 6 + $0 / 4] }
    #expect(try file.tensor("transposed") == Tensor([6, 4], transposed))
    #expect(
      try file.tensor("slice") == Tensor([2, 3], [7, 9, 11, 13, 15, 17].map { base.values[$0] }))
    let row = values([1, 3]).values
    #expect(try file.tensor("expanded") == Tensor([2, 3], row + row))
    #expect(try file.tensor("row") == Tensor([6], Array(base.values[12..<18])))
  }

  @Test func loneTensorIsNamedTensor() throws {
    #expect(try file("tensor").tensor("tensor") == values([2, 2]))
  }

  @Test func otherObjectsAreRefused() throws {
    let path = try path("foreign")
    let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
    #expect(error?.kind == .badData)
    #expect(error?.message.hasPrefix(path + ": ") == true)
    let words = "asks for '__main__.Foreign', expected only what tensors are made of"
    #expect(error?.message.contains(words) == true, "\(String(describing: error))")
  }

  @Test func barePickleIsRefused() throws {
    // pickle.dumps({"w": 1})
    let bytes: [UInt8] = [0x80, 4, 0x95, 10, 0, 0, 0, 0, 0, 0, 0, 0x7D, 0x94, 0x2E]
    let folder = try TemporaryFolder()
    let path = try folder.file("m.pt", holding: bytes)
    let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
    #expect(error?.kind == .badData && error?.message.contains("bare pickle") == true)
  }

  @Test(arguments: ["state_dict", "old"])
  func everyLengthOfATruncatedFileIsRefused(name: String) throws {
    let folder = try TemporaryFolder()
    let bytes = try [UInt8](contentsOfFile: path(name))
    for count in 0..<bytes.count {
      let path = try folder.file("cut", holding: Array(bytes[..<count]))
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
      #expect(error?.kind == .badData, "\(count) of \(bytes.count) bytes")
    }
  }

  /// A changed byte may change a value or a name; it never ends the process.
  @Test(arguments: ["views", "old"]) func everyChangedByteIsReadOrRefused(name: String) throws {
    let folder = try TemporaryFolder()
    let bytes = try [UInt8](contentsOfFile: path(name))
    var refused = 0
    for index in bytes.indices {
      for change: UInt8 in [0xFF, 0x01, 0x80] {
        var changed = bytes
        changed[index] ^= change
        let path = try folder.file("changed", holding: changed)
        do throws(CarouselError) {
          let file = try TensorFile(path)
          for entry in file.entries { _ = try file.tensor(entry) }
        } catch {
          #expect(error.message.hasPrefix(path + ": "))
          refused += 1
        }
      }
    }
    #expect(refused > 500)
  }
}
