import CarouselFormats
import CarouselModel
import Foundation

/// The folder of a run: `settings.json`, `config.yaml` of a run of the command line, `metrics.jsonl`, `best.safetensors`, `last.safetensors`.
///
/// One run at a time owns a folder, from `owned` on until the last copy of what that returned is gone.
public struct RunFolder: Sendable {
  /// The folder.
  public let path: String
  /// There where this value owns the folder.
  private var lock: RunLock?

  /// Names a folder, which need not be there yet.
  public init(_ path: String) {
    self.path = path
  }

  /// Makes a folder that nobody else has and owns it: `path`, or with a number behind it, `path-2`, where
  /// that is taken.
  ///
  /// A folder in which nothing was written is removed again. Throws `writeFailed` where no folder can be
  /// made.
  public static func new(_ path: String) throws(CarouselError) -> RunFolder {
    var folder = RunFolder(path)
    var number = 1
    while try !folder.create() {
      number += 1
      folder = RunFolder("\(path)-\(number)")
    }
    folder.lock = try RunLock(folder: folder.path, isNew: true)
    return folder
  }

  /// The same folder, owned by this process; what a run that was killed left half-written is removed.
  ///
  /// Throws a usage error where a run is under way in it, `missingInput` where it is not there and not to be
  /// made, and `writeFailed` where it cannot be made.
  public func owned(creating: Bool = true) throws(CarouselError) -> RunFolder {
    guard lock == nil else { return self }
    var isNew = false
    if creating {
      isNew = try create()
    } else if FileKind(at: path) != .folder {
      throw CarouselError(.missingInput, "\(path): expected the folder of a run, found none")
    }
    var result = self
    result.lock = try RunLock(folder: path, isNew: isNew)
    AtomicFile.removeUnfinished(in: path)
    return result
  }

  /// Lets other runs have the folder, for a process that ends at once; otherwise that follows the last copy.
  public func release() { lock?.release() }

  /// Every setting of the run, resolved.
  public var settings: String { path + "/settings.json" }
  /// The options that repeat the run, where the command line began it.
  public var config: String { path + "/config.yaml" }
  /// A JSON object for every line that is logged and for every evaluation.
  public var metrics: String { path + "/metrics.jsonl" }
  /// The network of the best evaluation.
  public var best: String { path + "/best.safetensors" }
  /// The network of the last evaluation or interruption, with all that a resumed run needs.
  public var last: String { path + "/last.safetensors" }

  private var files: [String] { [settings, config, metrics, best, last] }

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

  /// Creates the folder, and those that it is in, where there is none; whether it was this call that did.
  private func create() throws(CarouselError) -> Bool {
    guard !path.isEmpty else {
      throw CarouselError(.usage, "expected the name of a run's folder, found an empty one")
    }
    var isNew = false
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    for count in parts.indices.map({ $0 + 1 }) where !parts[count - 1].isEmpty {
      let folder = parts[..<count].joined(separator: "/")
      isNew = FileSystem.makeFolder(folder) == 0
      let code = errno
      guard isNew || FileKind(at: folder) == .folder else {
        throw CarouselError(
          .writeFailed,
          "\(folder): the folder cannot be made: \(String(cString: strerror(code)))")
      }
    }
    return isNew
  }

  /// Writes the settings.
  func write(_ description: Checkpoint.Description) throws(CarouselError) {
    try AtomicFile.write(JSON.encode(Settings(description), pretty: true) + "\n", to: settings)
  }

  /// Removes what an earlier run left that a new one does not overwrite at once.
  func removeResults() throws(CarouselError) {
    for file in [config, metrics, best] where FileKind(at: file) != nil {
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
    let heldOut: HeldOutTexts.Identity?
    let data: DataDescription?

    init(_ description: Checkpoint.Description) {
      task = description.task
      network = description.network
      settings = description.settings
      text = description.text
      heldOut = description.heldOut
      data = description.data
    }
  }
}
