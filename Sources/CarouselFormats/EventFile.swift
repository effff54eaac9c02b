import CarouselModel
import Foundation

/// A file of events that TensorBoard shows: scalars, histograms and texts, each under a tag at a step.
///
/// Events are protocol buffers (`tensorflow.Event`) in the records of TFRecord: the length in 8 bytes, its
/// masked CRC-32C, the event, and the masked CRC-32C of that. Several files of one folder are one run to
/// TensorBoard, so a run that is resumed adds a file of its own.
package final class EventFile {
  /// The file.
  package let path: String
  private let descriptor: Int32

  /// Makes a file of its own in `folder`, which is made where it is not there.
  ///
  /// Throws `writeFailed` where that is not possible.
  package init(in folder: String) throws(CarouselError) {
    if FileKind(at: folder) != .folder {
      do {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw CarouselError(
          .writeFailed, "\(folder): the folder cannot be made: \(error.localizedDescription)")
      }
    }
    let now = Date().timeIntervalSince1970
    let base =
      "\(folder)/events.out.tfevents.\(Int(now)).\(ProcessInfo.processInfo.hostName).\(getpid())"
    var number = 0
    var found: Int32 = -1
    var name = base
    repeat {
      name = "\(base).\(number)"
      found = FileSystem.open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
      number += 1
    } while found < 0 && errno == EEXIST
    path = name
    descriptor = found
    guard found >= 0 else { throw failure(errno) }
    try write(step: 0) { $0.text(3, "brain.Event:2") }
  }

  deinit { close(descriptor) }

  /// Adds a number.
  package func add(_ value: Double, to tag: String, step: Int) throws(CarouselError) {
    try write(tag, step) { $0.float(2, Float(value)) }
  }

  /// Adds a histogram of numbers, of which there is at least one, all finite: 30 bins of the same width.
  package func add(
    histogramOf values: [Double], to tag: String, step: Int
  ) throws(CarouselError) {
    guard let least = values.min(), let most = values.max() else { return }
    let count = least < most ? 30 : 1
    let width = (most - least) / Double(count)
    var bins = [Double](repeating: 0, count: count)
    for value in values {
      bins[width > 0 ? min(Int((value - least) / width), count - 1) : 0] += 1
    }
    let limits = (1...count).map { $0 == count ? most : least + width * Double($0) }
    try write(tag, step) { value in
      value.message(5) { histogram in
        histogram.double(1, least)
        histogram.double(2, most)
        histogram.double(3, Double(values.count))
        histogram.double(4, values.reduce(0, +))
        histogram.double(5, values.reduce(0) { $0 + $1 * $1 })
        histogram.doubles(6, limits)
        histogram.doubles(7, bins)
      }
    }
  }

  /// Adds a text, in Markdown.
  package func add(text: String, to tag: String, step: Int) throws(CarouselError) {
    try write(tag, step) { value in
      value.message(9) { metadata in
        metadata.message(1) { $0.text(1, "text") }
      }
      value.message(8) { tensor in
        // The type DT_STRING, the shape [1].
        tensor.number(1, 7)
        tensor.message(2) { shape in shape.message(2) { $0.number(1, 1) } }
        tensor.text(8, text)
      }
    }
  }

  private func write(
    _ tag: String, _ step: Int, _ body: (inout EventMessage) -> Void
  ) throws(CarouselError) {
    try write(step: step) { event in
      event.message(5) { summary in
        summary.message(1) { value in
          value.text(1, tag)
          body(&value)
        }
      }
    }
  }

  private func write(
    step: Int, _ body: (inout EventMessage) -> Void
  ) throws(CarouselError) {
    var event = EventMessage()
    event.double(1, Date().timeIntervalSince1970)
    event.number(2, UInt64(step))
    body(&event)
    let record = Self.record(event.bytes)
    let code = record.withUnsafeBytes { writeAll($0, to: descriptor) }
    if let code { throw failure(code) }
  }

  /// Bytes in the frame of TFRecord.
  static func record(_ bytes: [UInt8]) -> [UInt8] {
    let length = UInt64(bytes.count).littleEndianBytes
    return length + CRC32C.masked(length).littleEndianBytes + bytes
      + CRC32C.masked(bytes).littleEndianBytes
  }

  private func failure(_ code: Int32) -> CarouselError {
    CarouselError(.writeFailed, "\(path): the file cannot be written: \(systemErrorText(code))")
  }
}

/// A message of protocol buffers that is written field by field.
struct EventMessage {
  private(set) var bytes: [UInt8] = []

  private mutating func key(_ field: Int, wire: Int) { varint(UInt64(field << 3 | wire)) }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func number(_ field: Int, _ value: UInt64) {
    key(field, wire: 0)
    varint(value)
  }

  mutating func double(_ field: Int, _ value: Double) {
    key(field, wire: 1)
    bytes += value.bitPattern.littleEndianBytes
  }

  mutating func float(_ field: Int, _ value: Float) {
    key(field, wire: 5)
    bytes += value.bitPattern.littleEndianBytes
  }

  /// Numbers packed into one field.
  mutating func doubles(_ field: Int, _ values: [Double]) {
    key(field, wire: 2)
    varint(UInt64(8 * values.count))
    for value in values { bytes += value.bitPattern.littleEndianBytes }
  }

  mutating func text(_ field: Int, _ text: String) { append(field, Array(text.utf8)) }

  mutating func message(_ field: Int, _ body: (inout EventMessage) -> Void) {
    var message = EventMessage()
    body(&message)
    append(field, message.bytes)
  }

  private mutating func append(_ field: Int, _ content: [UInt8]) {
    key(field, wire: 2)
    varint(UInt64(content.count))
    bytes += content
  }
}

/// CRC-32C (Castagnoli), as RFC 3720 has it.
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
  }

  /// The checksum of bytes.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
  }

  /// The checksum as TFRecord stores it: rotated by 15 bits, and a constant added.
  static func masked(_ bytes: [UInt8]) -> UInt32 {
    let crc = checksum(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }
}

extension FixedWidthInteger {
  /// The bytes, the lowest first.
  fileprivate var littleEndianBytes: [UInt8] {
    (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) }
  }
}
