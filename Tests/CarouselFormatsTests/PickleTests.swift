import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// Archives with pickles that PyTorch would not write.
@Suite struct PickleTests {
  private typealias Bytes = [UInt8]

  /// A zip archive of stored files, with the sizes in zip64's fields where wanted.
  private func archive(
    _ files: [(name: String, bytes: [UInt8])], isLarge: Bool = false, method: UInt16 = 0
  ) -> [UInt8] {
    var (data, directory) = (Bytes(), Bytes())
    for (name, bytes) in files {
      let begin = data.count
      let size = isLarge ? UInt32.max : UInt32(bytes.count)
      let extra: Bytes =
        isLarge
        ? little(UInt16(1)) + little(UInt16(24)) + little(UInt64(bytes.count))
          + little(UInt64(bytes.count)) + little(UInt64(begin)) : []
      let head = little(UInt16(0)) + little(method) + little(UInt32(0)) + little(UInt32(0))
      let lengths = little(UInt16(name.utf8.count)) + little(UInt16(extra.count))
      data += Bytes([0x50, 0x4B, 3, 4, 45, 0]) + head + little(size) + little(size)
      data += little(UInt16(name.utf8.count)) + little(UInt16(0)) + Bytes(name.utf8) + bytes
      directory += Bytes([0x50, 0x4B, 1, 2, 45, 0, 45, 0]) + head + little(size) + little(size)
      directory += lengths + Bytes(repeating: 0, count: 10)
      directory += little(isLarge ? UInt32.max : UInt32(begin)) + Bytes(name.utf8) + extra
    }
    let begin = data.count
    data += directory
    if isLarge {
      let record = data.count
      data += Bytes([0x50, 0x4B, 6, 6]) + Bytes(repeating: 0, count: 28)
      data += little(UInt64(files.count)) + little(UInt64(directory.count)) + little(UInt64(begin))
      data += Bytes([0x50, 0x4B, 6, 7, 0, 0, 0, 0]) + little(UInt64(record)) + little(UInt32(1))
    }
    data += Bytes([0x50, 0x4B, 5, 6, 0, 0, 0, 0]) + little(UInt16(files.count))
    data += little(isLarge ? UInt16.max : UInt16(files.count))
    data += little(isLarge ? UInt32.max : UInt32(directory.count))
    return data + little(isLarge ? UInt32.max : UInt32(begin)) + [0, 0]
  }

  private func little(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Bytes($0) }
  }

  private func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + little(UInt32(text.utf8.count)) + Bytes(text.utf8)
  }

  private func integer(_ number: Int) -> [UInt8] { [0x8A, 8] + little(number) }

  /// A pickle's instructions for a tensor of two elements, or of what else is said.
  private func tensor(
    shape: [Int] = [2], strides: [Int] = [1], offset: Int = 0, elements: Int = 2
  ) -> [UInt8] {
    let integers = { (numbers: [Int]) in
      [UInt8(ascii: "(")] + numbers.flatMap { self.integer($0) } + [UInt8(ascii: "t")]
    }
    let storage = text("storage") + Bytes("ctorch\nFloatStorage\n".utf8) + text("0") + text("cpu")
    return Bytes("ctorch._utils\n_rebuild_tensor_v2\n((".utf8) + storage + integer(elements)
      + Bytes("tQ".utf8) + integer(offset) + integers(shape) + integers(strides)
      + [0x89] + Bytes("NtR".utf8)
  }

  private func write(
    _ pickle: [UInt8], to folder: TemporaryFolder, isLarge: Bool = false, method: UInt16 = 0
  ) throws -> String {
    let values = little(Float(1.5).bitPattern) + little(Float(-2).bitPattern)
    return try folder.file(
      "m",
      holding: archive(
        [("m/data.pkl", [0x80, 2] + pickle + Bytes(".".utf8)), ("m/data/0", values)],
        isLarge: isLarge, method: method))
  }

  @Test(arguments: [false, true]) func archivesOfBothSizesAreRead(isLarge: Bool) throws {
    let folder = try TemporaryFolder()
    let path = try write(
      Bytes("}".utf8) + text("a") + tensor() + Bytes("s".utf8), to: folder, isLarge: isLarge)
    #expect(try TensorFile(path).tensor("a") == Tensor([2], [1.5, -2]))
  }

  @Test func whatTensorsDoNotNeedIsRefusedAndNeverRun() throws {
    let folder = try TemporaryFolder()
    let nested = Bytes(repeating: UInt8(ascii: "]"), count: 500_000)
    let many = nested + Bytes(repeating: UInt8(ascii: "a"), count: 499_999)
    let itself = Bytes("]q".utf8) + [0] + Bytes("h".utf8) + [0] + Bytes("a".utf8)
    // Each dict holds the one before twice.
    var doubling = Bytes("]q".utf8) + [0]
    for level: UInt8 in 1...40 {
      doubling += Bytes("]h".utf8) + [level - 1] + Bytes("ah".utf8) + [level - 1]
      doubling += Bytes("aq".utf8) + [level]
    }
    let cases: [([UInt8], String)] = [
      (
        Bytes("cposix\nsystem\n".utf8) + text("touch /tmp/x") + [0x85] + Bytes("R".utf8),
        "asks for 'posix.system'"
      ),
      (text("builtins") + text("eval") + [0x93], "asks for 'builtins.eval'"),
      (Bytes("ctorch\nload\n".utf8), "asks for 'torch.load'"),
      (many, "nests its containers too deeply"), (itself, "nests its containers too deeply"),
      (doubling, "nests its containers too deeply"),
      (Bytes(repeating: UInt8(ascii: "N"), count: (1 << 20) + 1), "more than 1048576 values"),
      (Bytes("I5\n".utf8), "the instruction 73"), ([], "the pickle is damaged"),
      (Bytes("a".utf8), "the pickle is damaged"), (Bytes("h".utf8) + [7], "is damaged"),
      (Bytes("}(N".utf8) + Bytes("u".utf8), "the pickle is damaged"),
      (tensor(shape: [3]), "of shape [3], strides [1] and offset 0 reaches beyond its storage '0'"),
      (tensor(offset: 1), "reaches beyond"), (tensor(offset: -1), "reaches beyond"),
      (tensor(strides: [-1]), "reaches beyond"), (tensor(strides: [.max]), "reaches beyond"),
      (tensor(shape: [.max, .max, 0], strides: [0, 0, 0]), "reaches beyond"),
      (tensor(shape: [-2]), "reaches beyond"), (tensor(shape: []), "does not take"),
      (tensor(elements: 3), "expected 3 elements of 4 bytes in the storage '0'"),
      (tensor(elements: -3), "'storage' what it does not take"),
      (
        Bytes("}".utf8) + text("a") + tensor() + Bytes("s".utf8) + text("a") + tensor()
          + Bytes("s".utf8), "two tensors are named 'a'"
      ),
    ]
    for (pickle, words) in cases {
      let path = try write(pickle, to: folder)
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path) }
      #expect(error?.kind == .badData, "\(words)")
      #expect(error?.message.contains(words) == true, "\(words): \(String(describing: error))")
    }
  }

  @Test func tensorsOfHugeShapesAreRefusedWhenTheyAreRead() throws {
    let folder = try TemporaryFolder()
    let file = try TensorFile(
      write(tensor(shape: [1 << 30, 1 << 30], strides: [0, 0]), to: folder))
    let error = failure { () throws(CarouselError) in _ = try file.tensor("tensor") }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("bytes of memory") == true, "\(String(describing: error))")
    // Nothing is read of a tensor without elements, wherever it is said to lie.
    let empty = try TensorFile(write(tensor(shape: [0], offset: .max), to: folder))
    #expect(try empty.tensor("tensor") == Tensor([0], []))
  }

  @Test func compressedAndOtherArchivesAreRefused() throws {
    let folder = try TemporaryFolder()
    let compressed = try write(tensor(), to: folder, method: 8)
    #expect(
      failure { () throws(CarouselError) in _ = try TensorFile(compressed) }?.message
        .contains("'m/data.pkl' in the zip archive is compressed") == true)
    let other = try folder.file("z", holding: archive([("a.txt", [1, 2])]))
    #expect(
      failure { () throws(CarouselError) in _ = try TensorFile(other) }?.message
        .contains("without 'data.pkl'") == true)
  }
}
