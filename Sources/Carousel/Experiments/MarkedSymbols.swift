import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// Sequences of symbols of which one, A or B, decides the tag of all.
struct MarkedSymbols {
  struct Sequence {
    let symbols: [String]
    let place: Int
    var tag: String { symbols[place] }
  }

  let sequences: [Sequence]

  /// Draws sequences; a function of the seed.
  init(seed: UInt64, count: Int, length: Int) {
    let random = Philox(seed: seed, stream: RandomStream.input(11))
    let fillers = ["p", "q", "r", "s", "t", "u"]
    sequences = (0..<count).map { n in
      func draw(_ index: Int, _ bound: Int) -> Int {
        Int(random.uniform(n * (length + 2) + index) * Double(bound))
      }
      let place = draw(length, length)
      return Sequence(
        symbols: (0..<length).map { t in
          t == place ? ["A", "B"][draw(length + 1, 2)] : fillers[draw(t, fillers.count)]
        }, place: place)
    }
  }

  /// The sequences that a network is trained on, of which a tenth is held out, with the first seed.
  static func training(_ settings: ExperimentSettings) -> MarkedSymbols {
    training(seed: settings.seed, length: settings.sequenceLength ?? standardLength)
  }

  /// The same with any seed.
  static func training(seed: UInt64, length: Int) -> MarkedSymbols {
    MarkedSymbols(seed: seed, count: 1024, length: length)
  }

  /// T where none is asked for.
  static let standardLength = 20

  /// The sequences as `carousel train tag` reads them from a file.
  var text: String {
    sequences.map { sequence in
      sequence.symbols.map { "\($0) \(sequence.tag)\n" }.joined()
    }.joined(separator: "\n")
  }

  /// The sequences as examples to train on, of which a tenth is held out.
  func trainingExamples(seed: UInt64) throws -> TrainingExamples {
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("carousel-\(UUID().uuidString).txt").path
    try AtomicFile.write(text, to: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try TrainingExamples(.tag, settings: DataSettings(file: path), seed: seed)
  }
}
