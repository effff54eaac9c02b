import ArgumentParser
import Carousel

/// `carousel devices`: what OpenCL offers on this machine.
struct Devices: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the OpenCL devices, the one that --device asks for marked.")

  static let basics = ["device", "json", "cache", "clear-cache", "help-all"]
  static let defaults = DeviceOptions.helpDefaults

  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  @Flag(
    help: ArgumentHelp(
      "Show the cache of compiled programs instead: its folder, its size, its limit.",
      discussion: "CAROUSEL_CACHE names its folder, or is off; else it is carousel in "
        + "XDG_CACHE_HOME, or in ~/.cache. It is used only where it belongs to you and nobody else "
        + "can write to it. Where PoCL has no folder of its own, its programs are there too."))
  var cache = false

  @Flag(help: "Remove all compiled programs from the cache; what was tuned stays.")
  var clearCache = false

  func validate() throws {
    guard !(cache && clearCache) else {
      throw ValidationError("--cache shows what --clear-cache removes: give one of the two")
    }
  }

  func run() throws {
    if cache { return try CacheReport(ProgramCache.standard).write(output) }
    if clearCache { return try clear(ProgramCache.standard) }
    let devices = try DeviceOptions.advise(Device.all)
    let selected = device.isReference ? nil : try device.select()
    let rows = devices.map { Row($0, isDefault: $0.index == selected?.index) }
    if output.json {
      try Output.write(json: ["devices": rows])
    } else {
      try Output.write(Self.text(rows))
    }
  }

  private func clear(_ cache: ProgramCache) throws {
    guard let folder = cache.folder else {
      throw CarouselError(
        .usage, "there is no cache to clear: CAROUSEL_CACHE is off, or HOME is not set")
    }
    if let problem = cache.problem {
      throw CarouselError(.writeFailed, "the cache of programs is not cleared: \(problem)")
    }
    let removed: ProgramCache.Contents
    do {
      removed = try cache.clear()
    } catch {
      throw CarouselError(.writeFailed, "\(folder.path): \(error.localizedDescription)")
    }
    let report = CacheReport(cache)
    guard !output.json else { return try report.write(output) }
    try Output.write(
      "removed \(removed.count) files, \(byteText(removed.bytes)), from \(folder.path)")
  }

  /// A few lines for each device, so that they fit a terminal, and what the mark says.
  private static func text(_ rows: [Row]) -> String {
    let devices = rows.map { row in
      """
      \(row.default ? "*" : " ") \(row.index)  \(row.type)  \(row.name)
             \(row.computeUnits) compute units, \(byteText(row.globalMemoryBytes)) of memory, \
      \(byteText(row.localMemoryBytes)) of local memory
             \(row.version)
             driver \(row.driver), \(row.vendor)
      """
    }
    let legend =
      "--device takes another than the one marked *: an index, a type, part of a name"
    return devices.joined(separator: "\n")
      + (rows.contains(where: \.default) ? "\n\n" + legend : "")
  }

  /// What is known of the cache of programs.
  private struct CacheReport: Encodable {
    let folder: String?, problem: String?
    let used: Bool
    let files: Int, bytes: Int, limitBytes: Int

    init(_ cache: ProgramCache) {
      folder = cache.folder?.path
      problem = cache.problem
      used = cache.usableFolder != nil
      let contents = cache.contents
      (files, bytes, limitBytes) = (contents.count, contents.bytes, cache.limitBytes)
    }

    func write(_ output: OutputOptions) throws {
      if output.json { return try Output.write(json: ["cache": self]) }
      guard let folder else {
        return try Output.write("no cache: CAROUSEL_CACHE is off, or HOME is not set")
      }
      try Output.write(
        """
        folder    \(folder)\(problem.map { ", not used: \($0)" } ?? "")
        programs  \(files), \(byteText(bytes)) of at most \(byteText(limitBytes))
        """)
    }
  }

  private struct Row: Encodable {
    let index: String, name: String, vendor: String, type: String, version: String, driver: String
    let computeUnits: Int, globalMemoryBytes: Int, localMemoryBytes: Int
    let `default`: Bool

    init(_ device: Device, isDefault: Bool) {
      index = device.index
      name = device.name
      vendor = device.vendor
      type = device.type.rawValue
      version = device.version
      driver = device.driver
      computeUnits = device.computeUnits
      globalMemoryBytes = device.globalMemoryBytes
      localMemoryBytes = device.localMemoryBytes
      `default` = isDefault
    }
  }
}
