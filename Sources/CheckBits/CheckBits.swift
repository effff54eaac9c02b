import ArgumentParser
import Carousel

/// `Tools/check-bits`: hashes of what this build computes on a device.
@main
struct CheckBits: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check-bits",
    abstract: "Prints a hash for every output and gradient of a fixed set of layers and operations."
  )

  @Flag(help: "Take every case of compare too, which takes minutes.") var all = false
  @Flag(help: "Take the cases of the tests alone, and print one hash for each, as it is recorded.")
  var record = false
  @Flag(help: "Keep compiled programs in the user's cache, as carousel does.") var cache = false
  @Option(help: "The device, as carousel takes it.") var device = "auto"

  func run() throws {
    let device = try Device.select(device)
    print("# \(FrozenBits.signature(of: device))")
    let cases = record ? FrozenBits.quick : all ? FrozenBits.all : FrozenBits.standard
    try FrozenBits.compute(
      cases, on: device, cache: cache ? .standard : ProgramCache(folder: nil)
    ) { print(record ? $0.line : $0.detailedLine) }
  }
}
