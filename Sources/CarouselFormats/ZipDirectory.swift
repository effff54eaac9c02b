import CarouselModel

/// The files in a zip archive, stored as they are or packed by DEFLATE.
///
/// Archives of more than 4 GB or 65,535 files (zip64) are read too.
struct ZipDirectory {
  private struct Entry {
    var method: UInt16
    var isEncrypted: Bool
    var checksum: UInt32
    /// The bytes in the archive, and those of the file.
    var byteCount: UInt64, fullCount: UInt64
    /// Where the header that stands before the bytes begins.
    var header: UInt64
  }

  /// The most bytes that the directory may have.
  private static let limit = 1 << 27

  private var entries: [String: Entry] = [:]

  /// Reads the directory at the end of the archive.
  ///
  /// Throws `FileDamage`, and where `file` cannot be read.
  init(_ file: InputFile) throws {
    let place = try Self.place(in: file)
    guard place.byteCount <= Self.limit else {
      throw FileDamage(
        "expected a directory of at most \(Self.limit) bytes in the zip archive, found one of "
          + "\(place.byteCount)")
    }
    var reader = try ByteReader(
      file, at: place.begin, count: place.byteCount, of: "the directory of the zip archive")
    for _ in 0..<place.entryCount {
      let (name, entry) = try Self.entry(&reader)
      guard entries.updateValue(entry, forKey: name) == nil else {
        throw FileDamage("the zip archive holds '\(name)' twice")
      }
    }
  }

  /// The names of all files.
  var names: some Collection<String> { entries.keys }

  /// Where the bytes of a file that is stored as it is lie in the archive; nil where there is no such file.
  func bytes(of name: String, in file: InputFile) throws -> Range<Int>? {
    guard let entry = entries[name] else { return nil }
    guard entry.method == 0, !entry.isEncrypted else {
      throw FileDamage(
        "'\(name)' in the zip archive is \(entry.isEncrypted ? "encrypted" : "compressed"), expected "
          + "it to be stored as it is")
    }
    return try place(of: entry, name, in: file)
  }

  /// What holds the bytes of a file and where; one that is packed is unpacked into memory, and checked.
  func contents(of name: String, in file: InputFile) throws -> (any TensorSource, Range<Int>)? {
    guard let entry = entries[name], entry.method == 8, !entry.isEncrypted else {
      return try bytes(of: name, in: file).map { (file, $0) }
    }
    let place = try place(of: entry, name, in: file)
    // DEFLATE packs at most 1032 bytes into one.
    guard entry.fullCount / 1032 <= place.count else {
      throw FileDamage("'\(name)' in the zip archive is damaged: its size cannot be")
    }
    try HostMemory.require(
      Int(entry.fullCount), for: "'\(name)' in the zip archive", of: file.path)
    let packed = try file.bytes(at: place.lowerBound, count: place.count)
    let bytes = try Inflate.unpacked(
      packed, .raw, count: Int(entry.fullCount), source: "\(file.path): '\(name)'")
    guard CRC32.ieee.value(of: bytes) == entry.checksum else {
      throw FileDamage("'\(name)' in the zip archive is damaged: its checksum is another")
    }
    return (MemorySource(path: file.path, bytes: bytes), 0..<bytes.count)
  }

  private func place(of entry: Entry, _ name: String, in file: InputFile) throws -> Range<Int> {
    var header = try ByteReader(
      file, at: entry.header, count: 30, of: "the header of '\(name)' in the zip archive")
    guard try header.read(UInt32.self) == 0x0403_4B50 else { throw header.damage }
    header.skip(22)
    let begin =
      entry.header + 30 + UInt64(try header.read(UInt16.self))
      + UInt64(try header.read(UInt16.self))
    guard let end = begin.adding(entry.byteCount), end <= file.byteCount else {
      throw FileDamage(
        "'\(name)' in the zip archive has \(entry.byteCount) bytes from byte \(begin) on, but the "
          + "file has \(file.byteCount)")
    }
    return Int(begin)..<Int(end)
  }

  private static func place(
    in file: InputFile
  ) throws -> (begin: UInt64, byteCount: UInt64, entryCount: UInt64) {
    // The record at the end has 22 bytes and a comment of at most 65,535.
    let count = min(file.byteCount, 22 + 65535)
    let tail = try file.bytes(at: file.byteCount - count, count: count)
    let begin = stride(from: count - 22, through: 0, by: -1).first {
      tail[$0...].starts(with: [0x50, 0x4B, 5, 6])
    }
    guard let begin else {
      throw FileDamage("expected a zip archive, found no directory at its end")
    }
    var reader = ByteReader(Array(tail[begin...]), of: "the end of the zip archive")
    reader.skip(10)
    let entryCount = try reader.read(UInt16.self)
    let (byteCount, offset) = (try reader.read(UInt32.self), try reader.read(UInt32.self))
    guard entryCount == .max || byteCount == .max || offset == .max else {
      return (UInt64(offset), UInt64(byteCount), UInt64(entryCount))
    }
    return try largePlace(in: file, end: file.byteCount - count + begin)
  }

  /// The same from the records of zip64, the second of which ends at `end`.
  private static func largePlace(
    in file: InputFile, end: Int
  ) throws -> (begin: UInt64, byteCount: UInt64, entryCount: UInt64) {
    let subject = "the zip64 end of the zip archive"
    guard end >= 20 else { throw FileDamage("\(subject) is damaged") }
    var locator = try ByteReader(file, at: UInt64(end - 20), count: 20, of: subject)
    guard try locator.read(UInt32.self) == 0x0706_4B50 else { throw locator.damage }
    locator.skip(4)
    var record = try ByteReader(file, at: locator.read(UInt64.self), count: 56, of: subject)
    guard try record.read(UInt32.self) == 0x0606_4B50 else { throw record.damage }
    record.skip(28)
    let entryCount = try record.read(UInt64.self)
    let byteCount = try record.read(UInt64.self)
    return (try record.read(UInt64.self), byteCount, entryCount)
  }

  private static func entry(_ reader: inout ByteReader) throws -> (String, Entry) {
    guard try reader.read(UInt32.self) == 0x0201_4B50 else { throw reader.damage }
    reader.skip(4)
    let flags = try reader.read(UInt16.self)
    let method = try reader.read(UInt16.self)
    reader.skip(4)
    let checksum = try reader.read(UInt32.self)
    var sizes = [UInt64(try reader.read(UInt32.self)), UInt64(try reader.read(UInt32.self))]
    let lengths = (
      name: Int(try reader.read(UInt16.self)), extra: Int(try reader.read(UInt16.self)),
      comment: Int(try reader.read(UInt16.self))
    )
    reader.skip(8)
    sizes.append(UInt64(try reader.read(UInt32.self)))
    let name = try reader.bytes(lengths.name)
    var extra = ByteReader(Array(try reader.bytes(lengths.extra)), of: reader.subject)
    reader.skip(lengths.comment)
    // The stored size, the true size and the place of the header; each in zip64's extra field where
    // it is too large for 32 bits, the true size first there.
    while extra.rest >= 4 {
      let (kind, length) = (try extra.read(UInt16.self), Int(try extra.read(UInt16.self)))
      var field = ByteReader(Array(try extra.bytes(length)), of: reader.subject)
      guard kind == 1 else { continue }
      for index in [1, 0, 2] where sizes[index] == UInt64(UInt32.max) {
        sizes[index] = try field.read(UInt64.self)
      }
    }
    let entry = Entry(
      method: method, isEncrypted: flags & 1 != 0, checksum: checksum, byteCount: sizes[0],
      fullCount: sizes[1], header: sizes[2])
    return (String(decoding: name, as: UTF8.self), entry)
  }
}

/// Little-endian numbers from bytes, one after the other.
struct ByteReader {
  /// What the bytes are, for errors.
  let subject: String
  private let bytes: [UInt8]
  private(set) var position = 0

  init(_ bytes: [UInt8], of subject: String) {
    self.bytes = bytes
    self.subject = subject
  }

  /// Reads `count` bytes of a file.
  ///
  /// Throws `FileDamage` where it does not have them.
  init(_ file: InputFile, at offset: UInt64, count: some BinaryInteger, of subject: String) throws {
    guard let end = offset.adding(UInt64(count)), end <= file.byteCount else {
      throw FileDamage("\(subject) is damaged")
    }
    self.init(
      try file.bytes(at: Int(offset), count: Int(count), subject: subject), of: subject)
  }

  /// What is wrong where the bytes are not as they should be.
  var damage: FileDamage { FileDamage("\(subject) is damaged") }

  /// The bytes that are left.
  var rest: Int { max(0, bytes.count - position) }

  /// Leaves out bytes, which need not be there until the next is read.
  mutating func skip(_ count: Int) { position += count }

  mutating func bytes(_ count: Int) throws(FileDamage) -> ArraySlice<UInt8> {
    guard count >= 0, count <= rest else { throw damage }
    position += count
    return bytes[(position - count)..<position]
  }

  mutating func read<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type
  ) throws(FileDamage) -> Number {
    let width = MemoryLayout<Number>.size
    guard width <= rest else { throw damage }
    defer { position += width }
    return bytes.withUnsafeBytes {
      Number(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: type))
    }
  }
}

extension UInt64 {
  /// The sum; nil where it is too large.
  fileprivate func adding(_ other: UInt64) -> UInt64? {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? nil : sum
  }
}
