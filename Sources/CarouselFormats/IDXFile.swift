import CarouselModel

extension SequenceSet {
  /// Reads images of an IDX file (as those of MNIST), each a sequence of its rows.
  ///
  /// Their labels come from another file; either may be packed by gzip. Pixels become numbers from 0 to 1.
  ///
  /// Throws where a file is damaged, or the numbers of images and labels differ.
  public init(images path: String, labels labelPath: String?) throws(CarouselError) {
    let (header, pixels) = try Self.readIDX(path, dimensions: 3, "images")
    let sizes = header.sizes
    self.init(source: path, channels: (1...max(sizes[2], 1)).map { "\($0)" })
    hasOneScale = true
    values = pixels.map { Float($0) / 255 }
    starts = (0...sizes[0]).map { $0 * sizes[1] }
    guard let labelPath else { return }
    let (labelHeader, classes) = try Self.readIDX(labelPath, dimensions: 1, "labels")
    try labelHeader.require(header.sizes[0], of: path, in: labelPath)
    labels = classes.map { "\($0)" }
  }

  private static func readIDX(
    _ path: String, dimensions: Int, _ what: String
  ) throws(CarouselError) -> (header: IDXHeader, bytes: ArraySlice<UInt8>) {
    var bytes = try [UInt8](contentsOfInput: path)
    if Gzip.isPacked(bytes) { bytes = try Gzip.unpacked(bytes, source: path) }
    let header = try IDXHeader(bytes, byteCount: bytes.count, dimensions, path, what)
    return (header, bytes[header.range])
  }
}

/// What the beginning of an IDX file says.
struct IDXHeader {
  /// The sizes of the dimensions, all above 0.
  let sizes: [Int]
  /// Where the numbers are.
  let range: Range<Int>

  /// Reads the beginning of a file that is not packed.
  init(_ file: InputFile, dimensions: Int, _ what: String) throws(CarouselError) {
    let head = try file.bytes(at: 0, count: min(file.byteCount, 64))
    try self.init(head, byteCount: file.byteCount, dimensions, file.path, what)
  }

  init(
    _ bytes: [UInt8], byteCount: Int, _ dimensions: Int, _ path: String, _ what: String
  ) throws(CarouselError) {
    let expected: [UInt8] = [0, 0, 8, UInt8(dimensions)]
    guard bytes.starts(with: expected) else {
      throw CarouselError(
        .badData,
        "\(path): expected an IDX file of \(what), bytes in \(dimensions) "
          + "dimension\(dimensions == 1 ? "" : "s"), found one that begins with "
          + bytes.prefix(4).map { String($0, radix: 16) }.joined(separator: " "))
    }
    let start = 4 + 4 * dimensions
    guard byteCount >= start else {
      throw CarouselError(
        .badData, "\(path): expected a header of \(start) bytes, found \(byteCount)")
    }
    let sizes = (0..<dimensions).map { index in
      bytes[4 + 4 * index..<8 + 4 * index].reduce(0) { $0 << 8 | Int($1) }
    }
    let count = sizes.reduce((1, false)) { product, size in
      let (value, overflow) = product.0.multipliedReportingOverflow(by: size)
      return (value, product.1 || overflow)
    }
    guard !count.1, byteCount - start == count.0, sizes.allSatisfy({ $0 > 0 }) else {
      throw CarouselError(
        .badData,
        "\(path): expected \(sizes.map(String.init).joined(separator: " x ")) bytes behind the header, "
          + "found \(byteCount - start)")
    }
    (self.sizes, range) = (sizes, start..<byteCount)
  }

  /// Throws where there is another number of labels than of images.
  func require(_ count: Int, of images: String, in labels: String) throws(CarouselError) {
    guard sizes[0] == count else {
      throw CarouselError(
        .badData,
        "\(labels): expected \(count) labels, one for each image of \(images), found \(sizes[0])")
    }
  }
}
