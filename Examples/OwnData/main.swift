// Five small programs for data of one's own, each in a file:
//
//   swift run OwnData [forecast | labels | loop | pytorch | digits]
//
// Without a name all of them run. Each prints one result; the exit status is 1 where it is not what it should be.
import Carousel
import Foundation

typealias Program = (any Backend) throws -> String
let programs: [(name: String, run: Program)] = [
  ("forecast", { try forecast(on: $0) }), ("labels", { try labels(on: $0) }),
  ("loop", { try ownLoop(on: $0) }), ("pytorch", { try fromPyTorch(on: $0) }),
  ("digits", { try readDigits(on: $0) }),
]

/// The result as a sentence; throws `checkFailed` where a check of it does not hold.
func require(_ holds: Bool, _ result: String) throws -> String {
  guard holds else { throw CarouselError(.checkFailed, "expected better than this: \(result)") }
  return result
}

/// A number with three digits.
func short(_ number: Double) -> String { String(format: "%.3g", number) }

@MainActor func run(_ names: ArraySlice<String>) throws {
  for name in names where !programs.contains(where: { $0.name == name }) {
    throw CarouselError(
      .usage, "'\(name)' is none of \(programs.map(\.name).joined(separator: ", "))")
  }
  let devices = (try? Device.all()) ?? []
  let backend: any Backend =
    devices.isEmpty ? ReferenceBackend() : try OpenCLBackend(device: Device.select("auto"))
  for program in programs where names.isEmpty || names.contains(program.name) {
    let began = ContinuousClock.now
    let result = try program.run(backend)
    let seconds = began.duration(to: .now) / .seconds(1)
    print("\(program.name) on \(backend.name), \(short(seconds)) s: \(result)")
  }
}

do {
  try run(CommandLine.arguments.dropFirst())
} catch let error as CarouselError {
  FileHandle.standardError.write(Data("OwnData: \(error)\n".utf8))
  exit(error.kind.rawValue)
}
