import ArgumentParser
import Carousel

/// `carousel devices`: what OpenCL offers on this machine.
struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the OpenCL devices, the one that --device asks for marked.")

  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let devices = try Device.all()
    guard !devices.isEmpty else { throw try noDevice() }
    let selected = device.isReference ? nil : try device.select()
    let rows = devices.map { Row($0, isDefault: $0.index == selected?.index) }
    if output.json {
      try Output.write(json: ["devices": rows])
    } else {
      try Output.write(Self.table(rows).text)
    }
  }

  /// Why nothing can be listed.
  private func noDevice() throws -> CarouselError {
    try Platform.all().isEmpty
      ? DeviceOptions.noPlatform
      : CarouselError(.noDevice, "no OpenCL platform that is installed has a usable device")
  }

  private static func table(_ rows: [Row]) -> Table {
    var table = Table(
      ["", "index", "type", "name", "units", "memory", "local", "version", "driver", "vendor"])
    for row in rows {
      table.add([
        row.default ? "*" : "", row.index, row.type, row.name, "\(row.computeUnits)",
        byteText(row.globalMemoryBytes), byteText(row.localMemoryBytes), row.version, row.driver,
        row.vendor,
      ])
    }
    return table
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
