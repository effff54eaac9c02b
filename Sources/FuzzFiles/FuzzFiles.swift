import ArgumentParser
import Carousel
import Foundation

/// Damages files at random and reads each: whatever comes, there is a result or an error, never a crash.
///
/// One process reads them all, thousands a minute. The file that is being read lies at `--keep`, so that it is
/// still there after a crash, a hang (20 s) or a demand for memory beyond `--memory`, each of which end the
/// process by a signal.
@main struct FuzzFiles: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "FuzzFiles",
    abstract: "Damages files at random and reads them: .onnx, .pt, .safetensors, .npz and .npy.")

  @Argument(help: "Good files.") var files: [String]
  @Option(help: "How long, in seconds.") var seconds = 120.0
  @Option(help: "Draws the damages.") var seed: UInt64 = 1
  @Option(help: "The most memory of the process, in bytes.") var memory: UInt64 = 4 << 30
  @Option(help: "Where the file that is being read lies.") var keep = "fuzzed"

  func run() throws {
    var limit = rlimit(rlim_cur: rlim_t(memory), rlim_max: rlim_t(memory))
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    let originals = try files.map { (path: $0, bytes: try [UInt8](contentsOfInput: $0)) }
    var random = Damage(seed: seed)
    let end = Date().addingTimeInterval(seconds)
    var (count, whole, longest) = (0, 0, 0.0)
    var sentences: Set<String> = []
    while Date() < end {
      let (path, bytes) = originals[random.below(originals.count)]
      let suffix = "." + (path.split(separator: ".").last.map(String.init) ?? "")
      let file = keep + suffix
      try Data(random.damaged(bytes)).write(to: URL(fileURLWithPath: file))
      alarm(20)
      let began = Date()
      do {
        try Self.read(file, isSmall: bytes.count < 100_000)
        whole += 1
      } catch let error as CarouselError {
        guard [.badData, .missingInput, .usage, .noDevice].contains(error.kind) else {
          throw error
        }
        sentences.insert(String(error.message.prefix(60)))
      }
      alarm(0)
      longest = max(longest, Date().timeIntervalSince(began))
      count += 1
      unlink(file)
    }
    print(
      "\(count) damaged files of \(originals.count) in \(Int(seconds)) s: \(whole) were still read, "
        + "the others had an error each; the slowest took \(String(format: "%.2f", longest)) s")
  }

  /// Reads all that a file holds, and computes with a small model.
  private static func read(_ path: String, isSmall: Bool) throws {
    guard path.hasSuffix(".onnx") else {
      let file = try TensorFile(path)
      for entry in file.entries where entry.elementType != nil { _ = try file.tensor(entry) }
      return
    }
    let model = try ONNXModel(contentsOf: path)
    guard isSmall else { return }
    var options = GraphInputs.Options()
    options.sequenceLength = 3
    let inputs = try GraphInputs(model.graph, file: nil, options: options)
    guard inputs.values.values.allSatisfy({ $0.shape.count < 1 << 20 }) else { return }
    let bound = try GraphModel(model.graph, backend: ReferenceBackend())
    try bound.load(model.parameters, source: path)
    let real = inputs.values.filter { $0.value.type.isReal }
    let pass = try bound.pass(
      shapes: real.mapValues(\.shape), constants: inputs.values.filter { !$0.value.type.isReal })
    try pass.forward(real)
    _ = try pass.outputs()
    try model.write([:], to: path)
  }
}

/// What draws damages: SplitMix64 (Steele, Lea & Flood 2014).
private struct Damage {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// A whole number below `bound`.
  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    return Int((bits ^ bits >> 31) % UInt64(max(bound, 1)))
  }

  /// Numbers that parsers stumble over.
  private static let nasty: [[UInt8]] = [
    [0], [0xFF], [0x7F], [0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
    [UInt8](repeating: 0xFF, count: 9) + [1], [0x80, 0x80, 0x80, 0x80, 0x10],
    [0xFF, 0xFF, 0xFF, 0x7F], [UInt8](repeating: 0xFF, count: 7) + [0x7F],
    [UInt8](repeating: 0, count: 8), [UInt8](repeating: 1, count: 16),
  ]

  /// The bytes with one to eight faults, mostly near the beginning or the end, where structure is.
  mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for _ in 0..<[1, 1, 1, 2, 3, 8][below(6)] where !result.isEmpty {
      let size = result.count
      let place = [
        below(size), below(min(size, 400)), size - 1 - below(min(size, 400)),
      ][below(3)]
      let part = place..<min(size, place + [1, 2, 4, 8, 64, 1000][below(6)])
      switch below(7) {
      case 0: result[place] ^= 1 << UInt8(below(8))
      case 1: result[place] = UInt8(below(256))
      case 2: result.removeSubrange(part)
      case 3: result.insert(contentsOf: result[part], at: place)
      case 4:
        let word = Self.nasty[below(Self.nasty.count)]
        let range = place..<min(size, place + word.count)
        result.replaceSubrange(range, with: word)
      case 5: result.insert(contentsOf: Self.nasty[below(Self.nasty.count)], at: place)
      default: if below(4) == 0 { result.removeSubrange(place...) }
      }
    }
    return result
  }
}
