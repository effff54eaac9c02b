import CarouselFormats
import CarouselModel
import Foundation

/// The options of `carousel train` that give a run's settings again, every one by its name.
///
/// They are written to `config.yaml` in the run's folder. Given to `--config`, that file repeats the run on the
/// same device bit for bit, unless a time limit ended the run.
package struct ResolvedOptions {
  /// The options in the order of the file, with one value, or several of a list.
  package private(set) var entries: [(name: String, values: [String], isList: Bool)] = []

  package mutating func add(_ name: String, _ value: some CustomStringConvertible) {
    entries.append((name, ["\(value)"], false))
  }

  /// Adds an option that has a value.
  package mutating func add(_ name: String, _ value: (some CustomStringConvertible)?) {
    if let value { add(name, value) }
  }

  /// Adds a list that is not empty.
  package mutating func add(_ name: String, _ values: [String]) {
    if !values.isEmpty { entries.append((name, values, true)) }
  }

  /// Adds a flag that is set.
  package mutating func add(_ name: String, flag: Bool) { if flag { add(name, true) } }

  /// Gathers none.
  package init() {}

  /// The file: `head` as comments, then a line for each option.
  package func yaml(head: [String]) -> String {
    let lines = entries.map { name, values, isList in
      let texts = values.map(Self.scalar)
      return "\(name): " + (isList ? "[" + texts.joined(separator: ", ") + "]" : texts[0])
    }
    return (head.map { "# \($0)" } + lines).joined(separator: "\n") + "\n"
  }

  /// The text as YAML takes it: plain where it is a word or a number, else in double quotes.
  private static func scalar(_ text: String) -> String {
    let plain = CharacterSet(
      charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
    let isPlain =
      text.unicodeScalars.allSatisfy(plain.contains)
      && text.first.map { $0.isLetter || $0.isNumber || "./".contains($0) } == true
    if isPlain, text != ".", text != "..", !["null", "yes", "no", "on", "off"].contains(text) {
      return text
    }
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      default:
        result += scalar.value < 32 ? String(format: "\\x%02X", scalar.value) : String(scalar)
      }
    }
    return result + "\""
  }
}

extension ResolvedOptions {
  /// Adds the settings of a run of a task, but for what it learns from; `heldOut` are the texts of their own that
  /// it is measured on.
  package mutating func add(
    _ settings: TrainingSettings, of task: TrainingTask, heldOut: HeldOutTexts.Identity? = nil
  ) {
    add(settings.recurrent, of: task)
    if !task.readsExamples { add("sequence-length", settings.sequenceLength) }
    add("checkpoint-steps", settings.checkpointSteps)
    if task == .text {
      func file(_ text: TrainingText.Identity?) -> HeldOut? { text?.files.first.map { .file($0) } }
      add(
        validation: file(heldOut?.validation) ?? .share(settings.validation),
        test: file(heldOut?.test) ?? settings.test.map { .share($0) })
      add("validation-bytes", settings.validationBytes.map(String.init) ?? "all")
    }
    add(settings)
  }

  /// Adds the settings of a run that trains the graph of a model.
  package mutating func add(_ settings: GraphTrainingSettings) {
    add("model", settings.model)
    add("data", settings.data)
    add("loss", settings.objective?.words)
    add("train", settings.selection.trained)
    add("freeze", settings.selection.frozen)
    add("learning-rate-for", settings.selection.rates.map { "\($0.pattern)=\($0.rate)" })
    add(validation: settings.validation, test: settings.test.map { .file($0) })
    add(settings.training)
  }

  /// Adds what every run has.
  private mutating func add(_ settings: TrainingSettings) {
    add("batch-size", settings.batchSize)
    let (optimizer, schedule) = (settings.optimizer, settings.schedule)
    add("optimizer", optimizer.kind.rawValue)
    add("weight-decay", optimizer.weightDecay)
    if optimizer.kind == .sgd { add("momentum", optimizer.momentum) }
    add("learning-rate", schedule.peak)
    add("schedule", schedule.decay.rawValue)
    add("schedule-by", settings.scheduleBy.rawValue)
    add("warmup-steps", schedule.warmupSteps)
    add("final-learning-rate", schedule.final)
    add("decay-steps", schedule.decaySteps)
    if schedule.decay == .step { add("decay-factor", schedule.decayFactor) }
    add("clip-norm", settings.clipNorm ?? 0)
    add("accumulate", settings.accumulate)
    add("shards", settings.shards)
    add("shard-optimizer", flag: settings.shardOptimizer ?? false)
    add("ema", settings.averageDecay)
    add("evaluate-every", settings.evaluateEvery)
    add("log-every", settings.logEvery)
    add("patience", settings.patience)
    add("save-every", settings.saveEvery?.words)
    add("max-epochs", settings.bounds.maxEpochs)
    add("max-steps", settings.bounds.maxSteps)
    add("max-time", settings.bounds.maxSeconds)
    add("from", settings.from)
    add("prefix", settings.prefix)
    add("device", settings.device)
    add("kernels", settings.kernels)
    add("precision", settings.precision)
    add("seed", settings.seed)
  }

  private mutating func add(_ recurrent: RecurrentConfiguration, of task: TrainingTask) {
    let (cell, options) = (recurrent.cell, recurrent.options)
    add("cell", cell.rawValue)
    add("hidden-size", recurrent.hiddenSize)
    add("layers", recurrent.layers)
    add("direction", recurrent.direction.rawValue)
    if recurrent.direction == .bidirectional { add("merge", recurrent.merge.rawValue) }
    add("dropout", recurrent.dropout)
    if [.text, .tag, .copy].contains(task) { add("embedding-size", recurrent.inputSize) }
    add(
      "activation",
      options.activations.sorted { $0.key < $1.key }.map { gate, activation in
        "\(gate)=\(activation.words)"
      })
    add("override", options.overrides.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
    switch options.forgetGate {
    case .own: break
    case .coupled: add("couple-input-forget", flag: true)
    case .input: add("tie", "input=forget")
    case .output: add("tie", "forget=output")
    case .constant(let value): add("forget-decay", value)
    }
    add("bias", options.bias.rawValue)
    for option in options.used {
      if let name = option.optionName { add(name, option.value(in: options)) }
    }
    if options.zoneoutHidden != 0 || options.zoneoutCell != 0 {
      add(
        "zoneout",
        cell.has(.zoneoutCell)
          ? "\(options.zoneoutHidden),\(options.zoneoutCell)" : "\(options.zoneoutHidden)")
    }
  }

  /// Adds where examples are held out from.
  private mutating func add(validation: HeldOut, test: HeldOut?) {
    add("validation", validation.word)
    add("test", test?.word)
  }

  /// Adds what a task on one's own data reads, and how.
  package mutating func add(_ data: DataSettings, of task: TrainingTask) {
    add("file", data.file)
    add(validation: data.validation, test: data.test)
    add("id", data.columns.id)
    add("time", data.columns.time)
    add("no-header", flag: !data.columns.hasHeader)
    task.exampleTask?.addOptions(of: data, to: &self)
  }

  /// Adds what a task with classes reads and weighs.
  mutating func addClasses(_ data: DataSettings) {
    add("label", data.columns.label)
    add("classes", data.classes ?? [])
    add("class-weights", data.balancesClasses ? "balanced" : "none")
    add("label-smoothing", data.labelSmoothing)
  }
}

extension HeldOut {
  /// The share or the file as it is given.
  fileprivate var word: String {
    switch self {
    case .share(let share): "\(share)"
    case .file(let path): path
    }
  }
}

extension SaveInterval {
  /// The interval as it is given: `5m`, `90s`, or the updates.
  package var words: String {
    switch self {
    case .seconds(let seconds):
      seconds.truncatingRemainder(dividingBy: 60) == 0
        ? "\(Int(seconds / 60))m" : "\(seconds)s"
    case .steps(let count): "\(count)"
    }
  }
}

extension ForecastLoss {
  /// The loss as it is given.
  package var words: String {
    switch self {
    case .squared: "mse"
    case .absolute: "mae"
    case .huber: "huber"
    case .gaussian: "gaussian"
    case .quantile(let levels): "quantile:" + levels.map { "\($0)" }.joined(separator: ",")
    }
  }
}
