import CarouselFormats
import CarouselModel
import CarouselTraining

/// A file on its way to another format.
public struct Conversion: Sendable {
  /// What was read and written.
  public struct Report: Sendable, Encodable {
    /// The files.
    public let input: String, output: String
    /// What they are.
    public let inputFormat: String, outputFormat: String
    /// The tensors, by their names.
    public let tensors: [String]
    /// Whatever could not be kept as it was.
    public let notes: [String]
  }

  private let file: TensorFile
  private let path: String
  private let format: TensorFile.Format

  /// Opens a file, or a run's folder, for a file whose ending says its format.
  ///
  /// Throws as opening does, and a usage error for another ending.
  public init(from input: String, to output: String) throws(CarouselError) {
    guard let format = TensorFile.Format(endingOf: output) else {
      throw CarouselError(
        .usage,
        "\(output): expected a name that ends with "
          + TensorFile.Format.endings.map(\.ending).joined(separator: ", ")
          + ", which says what is written")
    }
    file = try TensorFile(RunFolder.model(at: input))
    path = output
    self.format = format
  }

  /// Reads all tensors and writes them.
  ///
  /// Throws `badData` where a tensor's type has no place in the format, or the file is damaged, and
  /// `writeFailed`.
  public func write() throws(CarouselError) -> Report {
    try AtomicFile.requireWritable(path)
    if format == .npy, file.entries.count != 1 {
      throw CarouselError(
        .badData,
        "\(file.path): expected one tensor for \(path), found \(file.entries.count); .npz holds several"
      )
    }
    var tensors: [StoredTensor] = []
    for entry in file.entries { tensors.append(try file.stored(entry)) }
    var notes: [String] = []
    switch format {
    case .npy: try NumPyFile.write(tensors[0], to: path)
    case .npz: try NumPyFile.write(tensors, to: path)
    default: try SafetensorsFile.write(tensors, metadata: file.metadata, to: path)
    }
    if format != .safetensors {
      notes += tensors.filter { $0.type == .bfloat16 }.map {
        "\(path): '\($0.name)' became F32, since NumPy has no BF16"
      }
      if !file.metadata.isEmpty {
        notes.append(
          "\(path): left out, since NumPy has no place for it: what the file says of itself")
      }
    }
    return Report(
      input: file.path, output: path, inputFormat: file.format.rawValue,
      outputFormat: format.rawValue, tensors: tensors.map(\.name), notes: notes)
  }
}
