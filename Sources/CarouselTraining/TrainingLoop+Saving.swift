import CarouselFormats
import CarouselModel

extension TrainingLoop {
  /// Prepares a folder, which is there, for this run and opens its metrics; every rank calls it, the first writes.
  ///
  /// A new run saves a first checkpoint, so that there is always a good one; only then is what an
  /// earlier run left there removed. One that goes on cuts off the metrics beyond its checkpoint, and
  /// writes the last ones that the checkpoint knows again.
  func begin(
    _ folder: RunFolder, isBeginning: Bool, _ report: (TrainingEvent) throws -> Void
  ) throws {
    let began = loop.now()
    if isBeginning {
      try saveBeginning(to: folder)
      if loop.ranks.isFirst { try folder.removeResults() }
      loop.session.saved = (TrainingPosition(), loop.now())
      loop.session.savingSeconds = loop.now() - began
    }
    guard loop.ranks.isFirst else { return }
    try writeSettings(to: folder)
    let (step, known) = (loop.position.step, loop.session.lines.first?.step)
    let damaged = try JSONLines.cut(folder.metrics, keeping: TrainingMetrics.self) { line in
      known.map { line.step < $0 } ?? (line.step <= step)
    }
    let log = try JSONLines(appendingTo: folder.metrics)
    if !isBeginning {
      for line in loop.session.lines { try log.append(line) }
    }
    loop.log = log
    let (earlier, current) = (loop.earlierBackend, loop.store.backend.record)
    if let earlier, earlier != current {
      try report(
        .warned(
          "\(folder.path): the run was computed on \(earlier) and goes on on \(current): its bits may "
            + "differ from those of an uninterrupted run"))
    }
    if !damaged.isEmpty {
      let lines = damaged.count == 1 ? "line" : "lines"
      try report(
        .warned(
          "\(folder.metrics): expected a JSON object in each line, found another thing in \(lines) "
            + damaged.map(String.init).joined(separator: ", ") + ", which is cut out"))
    }
  }

  /// Writes a line of metrics and remembers it for the next checkpoint.
  func write(_ line: TrainingMetrics) throws {
    if loop.session.lines.first?.step != line.step { loop.session.lines = [] }
    loop.session.lines.append(line)
    try loop.log?.append(line)
  }

  /// Whether a checkpoint is due beside those of evaluations, by the clock of rank 0.
  var isSaveDue: Bool {
    get throws {
      let age = loop.now() - (loop.session.saved?.seconds ?? 0)
      return try loop.ranks.fromFirst(loop.settings.isSaveDue(loop.position, age: age))
    }
  }

  /// Saves all that a resumed run needs, behind the metrics that it counts on.
  func saveLast(_ folder: RunFolder?, _ report: (TrainingEvent) throws -> Void) throws {
    guard let folder else { return }
    let began = loop.now()
    try loop.log?.synchronize()
    try save(to: folder.last, resumable: true, folder)
    loop.session.saved = (loop.position, loop.now())
    loop.session.savingSeconds = loop.now() - began
    try report(.saved(step: loop.position.step))
  }

  /// Saves the model, and with `resumable` all that the next step needs, of all ranks.
  ///
  /// Rank 0 writes; with `resumable` it gets from the others what they alone have.
  /// Throws before it writes where a number is not finite.
  func save(to path: String, resumable: Bool, _ folder: RunFolder) throws {
    // What ranks have of their own comes from each.
    let moments = resumable ? try loop.optimizer.tensors() : []
    let states = resumable ? try stateTensors() : []
    guard loop.ranks.isFirst else { return }
    var tensors = try modelTensors()
    if resumable { tensors += try moments + (loop.average?.tensors() ?? []) + states }
    for (name, tensor) in tensors where tensor.firstNonFinite(in: tensor.elementType) != nil {
      throw divergence(
        "the tensor '\(name)' holds a number that is not finite after step \(loop.position.step)",
        folder)
    }
    try write(tensors, to: path)
  }
}
