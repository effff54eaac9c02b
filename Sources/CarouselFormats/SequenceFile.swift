import CarouselModel
import Foundation

extension SequenceSet {
  /// The formats of files with sequences.
  public enum Format: Sendable {
    case timeSeries, images, table

    /// What a file is, by its name and its first bytes; throws where it cannot be read.
    public init(of path: String) throws(CarouselError) {
      if path == "-" {
        self = .table
        return
      }
      let file = try InputFile(path)
      let head = try file.bytes(at: 0, count: min(file.byteCount, 4))
      if path.lowercased().hasSuffix(".ts") {
        self = .timeSeries
      } else if head.starts(with: [0, 0, 8]) || Gzip.isPacked(head) {
        self = .images
      } else {
        self = .table
      }
    }

    /// Throws a usage error where a file, whose labels an option names, has no images.
    package static func requireImages(
      _ path: String, for option: String
    ) throws(CarouselError) {
      guard try Self(of: path) != .images else { return }
      throw CarouselError(
        .usage, "\(path): \(option) names the labels of IDX images, but this file has none")
    }
  }

  /// Reads a `.ts` file, a CSV file or images.
  ///
  /// `channels` are those that a model knows; nil takes those of the file. `labels` is the file with the
  /// labels of images. Without `requiresLabels` the classes may be absent. Throws as the readers do.
  public init(
    contentsOf path: String, columns: SequenceColumns, labels: String? = nil,
    channels: [String]? = nil, requiresLabels: Bool = true, missing: MissingValues = .error
  ) throws(CarouselError) {
    switch try Format(of: path) {
    case .timeSeries:
      try self.init(timeSeriesFile: path, missing: missing)
      guard !self.labels.isEmpty || !requiresLabels else {
        throw CarouselError(
          .badData, "\(path): expected '@classLabel true' with the classes, found a file without")
      }
    case .images:
      var labels = labels
      if labels == nil, requiresLabels { labels = try Self.labelFile(of: path) }
      try self.init(images: path, labels: labels)
    case .table:
      // The steps of a sequence in a row have no names that matter to another file.
      try self.init(
        table: path, columns: columns, channels: columns.id == nil ? nil : channels,
        requiresLabel: requiresLabels, missing: missing)
    }
  }

  /// The file of the labels, named as MNIST's is.
  static func labelFile(of images: String) throws(CarouselError) -> String {
    let name = images.replacing("images-idx3", with: "labels-idx1")
    guard name != images, FileKind(at: name) != nil else {
      throw CarouselError(
        .usage,
        "\(images): expected --labels with the file of the images' labels"
          + (name == images ? "" : "; there is no '\(name)'"))
    }
    return name
  }
}
