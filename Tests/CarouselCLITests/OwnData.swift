import Foundation

/// Small files of one's own data in a folder of its own.
struct OwnData {
  let folder: Folder

  init() throws { folder = try Folder() }

  /// The words of a run that takes a moment, on the reference, up to the task's own.
  static let small = [
    "--device", "reference", "--hidden-size", "4", "--batch-size", "4", "--max-steps", "6",
    "--evaluate-every", "3", "--quiet",
  ]

  /// Writes a file and returns its path.
  func file(_ name: String, _ text: String) throws -> String {
    try folder.create(name, Array(text.utf8)).path
  }

  /// 24 sequences of 2 to 4 steps, a step a row: two channels of numbers and the class of their sign.
  func classes(_ name: String = "classes.csv") throws -> String {
    let rows = (0..<24).flatMap { sequence in
      (0..<2 + sequence % 3).map { step in
        let sign = sequence % 2 == 0 ? 1.0 : -1.0
        let first = sign + 0.1 * Double((sequence * 7 + step * 3) % 5)
        return "s\(sequence),\(step),\(first),\(step % 2),\(sign > 0 ? "up" : "down")"
      }
    }
    return try file(name, (["id,time,a,b,label"] + rows).joined(separator: "\n") + "\n")
  }

  /// A series of 80 steps with a season of 4 and a covariate.
  func series(_ name: String = "series.csv") throws -> String {
    let rows = (0..<80).map { step in
      "\(step),\(Double(step) * 0.1 + [0.0, 2, 1, -1][step % 4]),\(step % 3)"
    }
    return try file(name, (["time,y,z"] + rows).joined(separator: "\n") + "\n")
  }

  /// 24 sentences of words with BIO tags.
  func tags(_ name: String = "tags.txt") throws -> String {
    let sentences = (0..<24).map { index in
      let words = [("the", "O"), ("red", "B-X"), ("fox\(index % 3)", "I-X"), ("runs", "O")]
      return words.dropFirst(index % 2).map { "\($0.0) \($0.1)" }.joined(separator: "\n")
    }
    return try file(name, sentences.joined(separator: "\n\n") + "\n")
  }

  /// A text of some kilobytes.
  func text(_ name: String = "text.txt") throws -> String {
    try file(name, (0..<60).map { "line \($0 * $0 % 97) of a text\n" }.joined())
  }

  /// The bytes of a safetensors file behind its header: the tensors.
  static func tensors(_ path: String) throws -> Data {
    let bytes = try Data(contentsOf: URL(filePath: path))
    let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    return bytes.dropFirst(8 + header)
  }
}
