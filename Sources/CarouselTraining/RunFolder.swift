import CarouselFormats
import CarouselModel
import Foundation

/// The folder of a run: `settings.json`, `metrics.jsonl`, `best.safetensors`, `last.safetensors`.
public struct RunFolder: Sendable {
  /// The folder.
  public let path: String

  /// Names a folder, which need not be there yet.
  public init(_ path: String) {
    self.path = path
  }

  /// Every setting of the run, resolved.
  public var settings: String { path + "/settings.json" }
  /// A JSON object for every line that is logged and for every evaluation.
  public var metrics: String { path + "/metrics.jsonl" }
  /// The network of the best evaluation.
  public var best: String { path + "/best.safetensors" }
  /// The network of the last evaluation or interruption, with all that a resumed run needs.
  public var last: String { path + "/last.safetensors" }

  private var files: [String] { [settings, metrics, best, last] }

  /// The checkpoint to use the run's network by: the best, or the last where there is no best yet.
  public func model() throws(CarouselError) -> String {
    guard let found = [best, last].first(where: { FileKind(at: $0) != nil }) else {
      throw CarouselError(
        .missingInput,
        "\(path): expected a run's folder with 'best.safetensors' or 'last.safetensors', "
          + "found neither")
    }
    return found
  }

  /// The file of the model at `path`: that file itself, or the one to use in a run's folder.
  public static func model(at path: String) throws(CarouselError) -> String {
    guard FileKind(at: path) == .folder else { return path }
    return try RunFolder(path).model()
  }

  /// Throws a usage error where the folder already holds a run.
  public func requireNoRun() throws(CarouselError) {
    guard let file = files.first(where: { FileKind(at: $0) != nil }) else { return }
    throw CarouselError(
      .usage,
      "\(path): expected a folder without a run, found '\(URL(fileURLWithPath: file).lastPathComponent)'"
        + "; --resume goes on with that run, --force replaces it, --output takes another folder")
  }

  /// Creates the folder, and those that it is in, where there is none.
  func create() throws(CarouselError) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    for count in parts.indices.map({ $0 + 1 }) {
      let folder = parts[..<count].joined(separator: "/")
      if folder.isEmpty
        || FileKind(at: folder) == .folder
      {
        continue
      }
      guard FileSystem.makeFolder(folder) == 0 else {
        throw CarouselError(
          .writeFailed,
          "\(folder): the folder cannot be made: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Writes the settings.
  func write(_ description: Checkpoint.Description) throws(CarouselError) {
    try AtomicFile.write(JSON.encode(Settings(description), pretty: true) + "\n", to: settings)
  }

  /// Removes what an earlier run left that a new one does not overwrite at once.
  func removeResults() throws(CarouselError) {
    for file in [metrics, best] where FileKind(at: file) != nil {
      guard FileSystem.remove(file) == 0 else {
        throw CarouselError(
          .writeFailed,
          "\(file): the file cannot be removed: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// What `settings.json` holds.
  private struct Settings: Encodable {
    let task: TrainingTask
    let network: NetworkConfiguration
    let settings: TrainingSettings
    let text: TrainingText.Identity?

    init(_ description: Checkpoint.Description) {
      task = description.task
      network = description.network
      settings = description.settings
      text = description.text
    }
  }
}
