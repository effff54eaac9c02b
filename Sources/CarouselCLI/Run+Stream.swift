import ArgumentParser
import Carousel
import Foundation

/// `--stream` and what belongs to it.
struct StreamOptions: ParsableArguments {
  @Flag(
    help: """
      Read one input of an ONNX model from standard input, piece by piece, and answer each piece at once with \
      a line of the outputs' numbers.
      """)
  var stream = false

  @Option(
    help: ArgumentHelp(
      "An output that is an input of the next pass, zeros at first (repeatable).",
      valueName: "output=input"))
  var state: [StatePair] = []

  @Option(
    help: ArgumentHelp(
      "What standard input holds: numbers, a line for each piece, or raw audio samples.",
      valueName: "rows|f32|s16"))
  var streamFormat = Format.rows

  @Option(
    help: ArgumentHelp(
      "The samples that a piece of audio begins with again, from the end of the one before.",
      valueName: "count"))
  var context = 0

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case rows
    /// Float32 and Int16, little-endian; whole numbers become −1 to 1.
    case f32, s16
  }

  /// Whether something was given that means nothing without `--stream`.
  var isEmpty: Bool { state.isEmpty && streamFormat == .rows && context == 0 }
}

/// An output and the input of the next pass.
struct StatePair: ExpressibleByArgument {
  let output: String, input: String

  init?(argument: String) {
    let parts = argument.split(separator: "=").map(String.init)
    guard parts.count == 2 else { return nil }
    (output, input) = (parts[0], parts[1])
  }
}

extension Run {
  /// Answers standard input piece by piece with an ONNX model.
  func runStream(_ path: String) throws {
    let file = try inputs.map { path throws(CarouselError) in try TensorFile(path) }
    let model = try ONNXModel(contentsOf: path, inputs: file)
    Output.note("carousel: \(path): \(model.summary)")
    var options = GraphInputs.Options()
    (options.sequenceLength, options.batchSize) = (1, 1)
    for item in shape { options.shapes[item.name] = item.sizes }
    for item in value { options.numbers[item.name] = item.number }
    let given = try GraphInputs(model.graph, file: file, options: options)
    var fixed = Set(value.map(\.name))
    fixed.formUnion(file?.entries.map(\.name) ?? [])
    let backend: any Backend = try device.makeBackend()
    try answer(model, given, fixed, on: backend)
  }

  private func answer<B: Backend>(
    _ model: ONNXModel, _ given: GraphInputs, _ fixed: Set<String>, on backend: B
  ) throws {
    let stream = try ONNXStream(
      model, inputs: given, states: self.stream.state.map { ($0.output, $0.input) }, fixed: fixed,
      backend: backend)
    let count = stream.shape.count
    guard 0..<max(count, 1) ~= self.stream.context else {
      throw CarouselError(
        .usage,
        "--context must be at least 0 and below \(count), the samples of a piece, but is "
          + "\(self.stream.context)")
    }
    Output.note(
      "carousel: each piece is '\(stream.input)' \(stream.shape), the answers are "
        + stream.outputs.map { "'\($0)'" }.joined(separator: ", ") + ", on \(backend.name)")
    var pieces = StreamPieces(
      format: self.stream.streamFormat, count: count, context: self.stream.context)
    while let piece = try pieces.next() {
      let outputs = try stream.next(piece)
      let numbers = outputs.map { output in output.tensor.values.map(Float.init) }
      if output.json {
        let document = Dictionary(
          uniqueKeysWithValues: zip(outputs.map(\.name), numbers))
        try Output.write(JSON.encode(document))
      } else {
        try Output.write(
          numbers.joined().map { "\($0)" }.joined(separator: ","))
      }
    }
    if let left = pieces.leftOver {
      Output.note(
        "carousel: warning: standard input: the last \(left) are less than a piece and were not used"
      )
    }
  }
}

/// Standard input, a piece at a time.
private struct StreamPieces {
  let format: StreamOptions.Format
  let count: Int, context: Int
  private var line = 0
  private var before: [Double]
  /// What an unfinished piece at the end was.
  private(set) var leftOver: String?

  init(format: StreamOptions.Format, count: Int, context: Int) {
    (self.format, self.count, self.context) = (format, count, context)
    before = [Double](repeating: 0, count: context)
  }

  /// The numbers of the next piece; nil at the end.
  mutating func next() throws -> [Double]? {
    let fresh = count - context
    switch format {
    case .rows:
      guard let row = try row(fresh) else { return nil }
      return joined(row)
    case .f32, .s16:
      let width = format == .f32 ? 4 : 2
      let bytes = try Self.read(fresh * width)
      guard bytes.count == fresh * width else {
        if !bytes.isEmpty { leftOver = "\(bytes.count) bytes" }
        return nil
      }
      let values: [Double] = bytes.withUnsafeBytes { buffer in
        (0..<fresh).map { index in
          if format == .f32 {
            let bits = buffer.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
            return Double(Float(bitPattern: UInt32(littleEndian: bits)))
          }
          let sample = buffer.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self)
          return Double(Int16(littleEndian: sample)) / 32768
        }
      }
      guard values.allSatisfy(\.isFinite) else {
        throw CarouselError(
          .badData, "standard input: expected finite samples, found one that is not")
      }
      return joined(values)
    }
  }

  private mutating func joined(_ values: [Double]) -> [Double] {
    let result = before + values
    before = Array(result.suffix(context))
    return result
  }

  private mutating func row(_ expected: Int) throws -> [Double]? {
    while let text = readLine() {
      line += 1
      let words = text.split(whereSeparator: { $0 == "," || $0.isWhitespace })
      if words.isEmpty { continue }
      let values = words.compactMap { Double($0) }.filter(\.isFinite)
      guard values.count == words.count, values.count == expected else {
        throw CarouselError(
          .badData,
          "standard input, line \(line): expected \(expected) finite numbers, found "
            + (values.count == words.count
              ? "\(words.count)" : "something else among \(words.count)"))
      }
      return values
    }
    return nil
  }

  /// So many bytes, or what is left.
  private static func read(_ count: Int) throws -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = result.withUnsafeMutableBytes {
        Foundation.read(STDIN_FILENO, $0.baseAddress.map { $0 + filled }, count - filled)
      }
      if got == 0 { break }
      if got < 0 {
        if errno == EINTR { continue }
        throw CarouselError(
          .missingInput, "standard input cannot be read: \(String(cString: strerror(errno)))")
      }
      filled += got
    }
    return Array(result[..<filled])
  }
}
