import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// The files are `Tools/make-numpy-files`'s.
@Suite struct NumPyTests {
  private func path(_ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "NumPy", withExtension: nil))
    return folder.appending(path: name).path
  }

  private func values(_ shape: Shape) -> Tensor {
    Tensor(shape, (0..<shape.count).map { Double($0 + 1) / 8 - Double(shape.count) / 16 })
  }

  @Test(arguments: ["stored.npz", "packed.npz"])
  func everyTypeAndOrderIsRead(name: String) throws {
    let file = try TensorFile(path(name))
    #expect(file.format == .npz)
    let shapes: [(String, Shape)] = [
      ("f2", [2, 3]), ("f4", [3, 1, 2]), ("f8", [5]), ("big", [2, 4]), ("fortran", [4, 3]),
      ("scalar", []), ("empty", [0, 3]),
    ]
    for (name, shape) in shapes { #expect(try file.tensor(name) == values(shape), "\(name)") }
    let whole: [(String, [Double])] = [
      ("i1", [-128, 127]), ("i2", [-32768, 5]), ("i4", [-0x1p31, 7]), ("i8", [-0x1p40, 7]),
      ("u1", [0, 255]), ("u2", [0, 65535]), ("u4", [0, 0x1p32 - 1]), ("u8", [0, 0x1p53]),
      ("bool", [1, 0]),
    ]
    for (name, numbers) in whole {
      #expect(try file.tensor(name) == Tensor([2], numbers), "\(name)")
    }
    let text = failure { () throws(CarouselError) in _ = try file.tensor("text") }
    #expect(text?.message.contains("'text' has the dtype '<U2'") == true)
  }

  @Test(arguments: 1...3)
  func everyVersionIsRead(version: Int) throws {
    let file = try TensorFile(path("version\(version).npy"))
    #expect(file.format == .npy)
    #expect(try file.tensor("version\(version)") == values([3, 2]))
  }

  @Test func whatIsWrittenIsReadBackBitForBit() throws {
    let folder = try TemporaryFolder()
    let file = try TensorFile(path("stored.npz"))
    var tensors: [StoredTensor] = []
    for entry in file.entries where entry.elementType != nil {
      tensors.append(try file.stored(entry))
    }
    try NumPyFile.write(tensors, to: folder.file("a.npz"))
    try SafetensorsFile.write(tensors, metadata: ["a": "b"], to: folder.file("a.safetensors"))
    for name in ["a.npz", "a.safetensors"] {
      let copy = try TensorFile(folder.file(name))
      #expect(copy.entries.count == tensors.count)
      for tensor in tensors {
        let read = try copy.stored(try #require(copy[tensor.name]))
        #expect(
          read.bytes == tensor.bytes && read.type == tensor.type && read.shape == tensor.shape)
      }
    }
  }

  @Test func aNumberThatIsNotOneKeepsItsBitsAndBFloat16Widens() throws {
    let folder = try TemporaryFolder()
    let odd = StoredTensor(name: "a", type: .float32, shape: [1], bytes: [0x34, 0x12, 0x80, 0x7F])
    try NumPyFile.write(odd, to: folder.file("a.npy"))
    let file = try TensorFile(folder.file("a.npy"))
    #expect(try file.stored(file.entries[0]).bytes == odd.bytes)
    let brain = StoredTensor(name: "a", type: .bfloat16, shape: [1, 1], bytes: [0x80, 0xBF])
    try NumPyFile.write(brain, to: folder.file("a.npy"))
    #expect(try TensorFile(folder.file("a.npy")).tensor("a") == Tensor([1, 1], [-1]))
  }

  @Test func everyCutAndEveryDamagedHeaderIsAnErrorOrTheSameTensor() throws {
    let folder = try TemporaryFolder()
    let whole = try [UInt8](contentsOfFile: path("version1.npy"))
    for count in 1..<whole.count {
      let cut = try folder.file("cut.npy", holding: Array(whole[..<count]))
      #expect(failure { () throws(CarouselError) in _ = try TensorFile(cut) }?.kind == .badData)
    }
    for index in 6..<128 {
      for bit in [0, 3, 6] {
        var bytes = whole
        bytes[index] ^= 1 << bit
        let path = try folder.file("damaged.npy", holding: bytes)
        do {
          let file = try TensorFile(path)
          #expect(try file.entries.map { try file.tensor($0).shape.count <= 6 }.allSatisfy { $0 })
        } catch {
          #expect((error as? CarouselError)?.kind == .badData)
        }
      }
    }
  }

  /// A file that is called NumPy's and is not is told so.
  @Test(arguments: ["a.npz", "a.npy"], [[], Array("PK".utf8), Array("0123456789".utf8)])
  func aFileThatIsNotWhatItIsCalledIsNamed(name: String, bytes: [UInt8]) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file(name, holding: bytes)
    let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
    #expect(error?.kind == .badData && error?.message.contains("NumPy's") == true)
  }

  @Test func damageOfAPackedArrayIsFoundByItsChecksum() throws {
    let folder = try TemporaryFolder()
    let whole = try [UInt8](contentsOfFile: path("packed.npz"))
    var found = 0
    for index in stride(from: 80, to: 600, by: 7) {
      var bytes = whole
      bytes[index] ^= 0x10
      let path = try folder.file("damaged.npz", holding: bytes)
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
      #expect(error == nil || error?.kind == .badData)
      found += error == nil ? 0 : 1
    }
    #expect(found > 30)
  }
}
