import CarouselModel
import Foundation
import OpenCLDriver

/// The choices that were measured, in a file beside the programs of the cache; a file that is not what
/// it should be counts as empty.
struct TuningFile {
  private let url: URL?
  private let device: String
  private let form: KernelForm

  init(_ cache: ProgramCache, device: Device, form: KernelForm, precision: ProductPrecision) {
    self.form = form
    url = Self.url(cache)
    let name = Self.prefix(device) + form.rawValue
    self.device = precision == .float32 ? name : name + Self.separator + precision.rawValue
  }

  fileprivate static func url(_ cache: ProgramCache) -> URL? {
    cache.usableFolder?.appending(path: "tuning.json")
  }

  private static let separator = " | "

  /// How the names of a device begin, in all forms and precisions.
  fileprivate static func prefix(_ device: Device) -> String {
    [device.name, device.driver, ""].joined(separator: separator)
  }

  /// The choices by the names of layers, for each device with its form and precision.
  fileprivate typealias Contents = [String: [String: LayerTuning]]

  fileprivate static func read(_ url: URL?) -> Contents {
    guard let url, let data = try? Data(contentsOf: url) else { return [:] }
    return (try? JSONDecoder().decode(Contents.self, from: data)) ?? [:]
  }

  fileprivate static func write(_ contents: Contents, to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    do {
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      try encoder.encode(contents).write(to: url, options: .atomic)
    } catch {
      throw CarouselError(.writeFailed, "\(url.path): \(error.localizedDescription)")
    }
  }

  /// The choices for this device, by the layers' names.
  func load() -> [String: LayerTuning] {
    let choices = Set(LayerTuning.choices(form))
    return (Self.read(url)[device] ?? [:]).filter { choices.contains($0.value) }
  }

  /// Keeps a choice for layers beside what is there, or with nil forgets theirs; returns the file, or nil
  /// where there is no cache.
  func store(_ choice: LayerTuning?, for names: [String]) throws -> String? {
    guard let url else { return nil }
    var all = Self.read(url)
    let before = all
    for name in names { all[device, default: [:]][name] = choice }
    if all[device]?.isEmpty == true { all[device] = nil }
    if all != before { try Self.write(all, to: url) }
    return url.path
  }
}

/// A choice that `profile --tune` kept for layers of one size on a device.
package struct KeptTuning: Sendable, Encodable {
  /// The form of the kernels and, where it is not Float32, the precision that it is for.
  package let kernels: String
  /// The layers: the cell, N, C, H, P and F, the recurrent weights of each gate of a unit.
  package let layer: String
  /// What is done how.
  package let words: String

  /// Everything that is kept for a device, sorted.
  package static func all(
    for device: Device, in cache: ProgramCache = .standard
  ) -> [KeptTuning] {
    let prefix = TuningFile.prefix(device)
    let mine = TuningFile.read(TuningFile.url(cache)).filter { $0.key.hasPrefix(prefix) }
    return mine.flatMap { key, layers in
      layers.map { name, choice in
        KeptTuning(
          kernels: String(key.dropFirst(prefix.count)).replacing(" | ", with: " "),
          layer: String(name.split(separator: " -D")[0]), words: choice.description)
      }
    }.sorted { ($0.kernels, $0.layer, $0.words) < ($1.kernels, $1.layer, $1.words) }
  }

  /// Forgets everything that is kept for a device; returns how many layers that was.
  ///
  /// Throws where the file cannot be written.
  package static func forgetAll(
    for device: Device, in cache: ProgramCache = .standard
  ) throws -> Int {
    guard let url = TuningFile.url(cache) else { return 0 }
    let prefix = TuningFile.prefix(device)
    let all = TuningFile.read(url)
    let others = all.filter { !$0.key.hasPrefix(prefix) }
    if others.count < all.count { try TuningFile.write(others, to: url) }
    return all.reduce(0) { $0 + ($1.key.hasPrefix(prefix) ? $1.value.count : 0) }
  }
}
