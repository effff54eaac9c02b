/// A cyclic redundancy check of 32 bits, least significant bit first.
struct CRC32 {
  /// That of gzip and zip.
  static let ieee = CRC32(polynomial: 0xEDB8_8320)
  /// Castagnoli's, that of TensorBoard's files.
  static let castagnoli = CRC32(polynomial: 0x82F6_3B78)

  private let table: [UInt32]

  private init(polynomial: UInt32) {
    table = (0..<256).map { byte in
      (0..<8).reduce(UInt32(byte)) { value, _ in
        value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1
      }
    }
  }

  /// The check of bytes.
  func value(of bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }
}
