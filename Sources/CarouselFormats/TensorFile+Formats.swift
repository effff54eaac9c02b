import CarouselModel

extension TensorFile.Contents {
  /// What a zip archive begins with, and what an array of NumPy's does.
  private static let zipMark: [UInt8] = [0x50, 0x4B, 3, 4], arrayMark = [0x93] + Array("NUMPY".utf8)

  /// The tensors of a file of any format, which its first bytes tell.
  static func any(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    let head = try file.bytes(at: 0, count: min(file.byteCount, 9))
    // A header of safetensors begins behind its length.
    if head.count == 9, head.last == UInt8(ascii: "{") {
      return try safetensors(file, limits: limits)
    }
    if head.starts(with: zipMark) {
      let archive = try ZipDirectory(file)
      return archive.names.contains { $0.hasSuffix(".npy") }
        && !archive.names.contains { $0.hasSuffix("/data.pkl") }
        ? try npz(file, archive) : try pyTorch(file, archive, limits: limits)
    }
    if head.starts(with: arrayMark) { return try npy(file) }
    if ONNXFile.isLikely(head, path: file.path) {
      return try ONNXFile(file).contents()
    }
    // The number that PyTorch's older form begins with, as a pickle of protocol 2 to 5.
    if head.count > 4, head[0] == 0x80, head[2...].starts(with: [0x8A, 0x0A]) {
      throw FileDamage(
        "expected a safetensors file, or a PyTorch file in the zip form that torch.save writes, found "
          + "one in the form from before PyTorch 1.6")
    }
    return try safetensors(file, limits: limits)
  }
}
