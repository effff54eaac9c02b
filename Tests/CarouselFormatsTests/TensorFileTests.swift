import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

@Suite struct TensorFileTests {
  /// Makes the file longer without writing what is new.
  private func extend(_ path: String, to byteCount: Int) {
    #expect(truncate(path, off_t(byteCount)) == 0)
  }

  @Test func tensorThatIsNotUsedMayBeOfAnyTypeAndSize() throws {
    let folder = try TemporaryFolder()
    let terabyte = 1 << 40
    let header = """
      {"used":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},\
      "mask":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[4,7]},\
      "packed":{"dtype":"F4","shape":[5],"data_offsets":[7,10]},\
      "huge":{"dtype":"F16","shape":[\(terabyte / 2)],"data_offsets":[10,\(10 + terabyte)]}}
      """
    let path = try folder.file("m", holding: safetensors(header, data: [0, 0, 0x80, 0x3F]))
    extend(path, to: 8 + header.utf8.count + 10 + terabyte)
    let file = try TensorFile(path)
    #expect(try file.tensor("used") == Tensor([1], [1]))
    #expect(try file.tensor("none") == nil)
    #expect(file.entries.map(\.name) == ["used", "mask", "packed", "huge"])
    #expect(file["mask"]?.type == "F8_E4M3" && file["mask"]?.elementType == nil)
    let mask = failure { () throws(CarouselError) in _ = try file.tensor("mask") }
    #expect(mask?.kind == .badData)
    #expect(mask?.message.contains("'mask' has the dtype 'F8_E4M3', expected one of F64") == true)
    let huge = failure { () throws(CarouselError) in _ = try file.tensor("huge") }
    #expect(huge?.kind == .badData)
    #expect(
      huge?.message.contains(
        "'huge' of shape [549755813888] needs 2199023255552 bytes of memory, expected at most "
          + "\(HostMemory.byteCount)") == true, "\(String(describing: huge))")
  }

  /// What Float32 holds stays Float32; nothing else is made of it on the way to a device.
  @Test(arguments: ElementType.allCases) func tensorKeepsItsElementType(type: ElementType) throws {
    let folder = try TemporaryFolder()
    let header = """
      {"a":{"dtype":"\(type.rawValue)","shape":[3],"data_offsets":[0,\(3 * type.byteCount)]}}
      """
    let data = (0..<3 * type.byteCount).map { $0 % type.byteCount == 0 ? 1 : 0 as UInt8 }
    let tensor = try #require(
      try TensorFile(folder.file("m", holding: safetensors(header, data: data))).tensor("a"))
    let isWide = [.float64, .int64, .int32, .uint64, .uint32].contains(type)
    #expect(tensor.elementType == (isWide ? .float64 : .float32))
    #expect(tensor[2] != 0 && tensor.values == [tensor[2], tensor[2], tensor[2]])
  }

  @Test func textLargerThanTheMemoryIsRefused() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("text", holding: [1])
    extend(path, to: 1 << 40)
    let error = failure { () throws(CarouselError) in _ = try [UInt8](contentsOfFile: path) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("needs 1099511627776 bytes of memory") == true)
  }

  @Test func fileThatShrinksAfterItWasOpenedIsAnError() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("m")
    try SafetensorsFile([("a", Tensor([600], Array(repeating: 1, count: 600)))]).write(to: path)
    let file = try TensorFile(path)
    extend(path, to: 1000)
    let error = failure { () throws(CarouselError) in _ = try file.tensor("a") }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("found the end of the file") == true)
  }

  @Test func elementsBeyondOneChunkAreRead() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("m")
    let count = (1 << 18) + 3
    let tensor = Tensor([count], (0..<count).map { Double($0 % 8191) })
    try SafetensorsFile([("pad", Tensor([1], [0])), ("a", tensor)], elementTypes: ["pad": .uint8])
      .write(to: path)
    #expect(try TensorFile(path).tensor("a") == tensor)
  }
}
