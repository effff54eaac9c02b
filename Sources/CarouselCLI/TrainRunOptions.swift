import ArgumentParser
import Carousel

/// Where a run goes, and how much it says.
struct TrainRunOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The run's folder (default: runs/NAME-TIME).", valueName: "folder"))
  var output: String?

  @Flag(help: "Replace the run that the folder already holds.")
  var force = false

  @Option(help: ArgumentHelp("Go on with the run in this folder.", valueName: "folder"))
  var resume: String?

  @Option(
    help: ArgumentHelp(
      "Begin with the weights of a run, a checkpoint, a .safetensors, .pt or .onnx file.",
      discussion: """
        Parameters match by name and shape, of a text by byte; what does not match is named. Any \
        settings go with it; the layers and their sizes come from the file where they are not given.
        """,
      valueName: "model"))
  var from: String?

  @Option(
    help: ArgumentHelp(
      "Which stack of layers of --from, where it has several: what its names begin with.",
      valueName: "name"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "How often to save beside evaluations: a time such as 90s or 5m, or a number of updates.",
      valueName: "time|count"))
  var saveEvery: SaveInterval?

  @Option(
    help: ArgumentHelp(
      "Write a page of the run to this file: curves, and what the best model does.",
      discussion: "The page needs no other file; it is light or dark as the reader's screen is.",
      valueName: "file.html"))
  var report: String?

  @Option(
    help: ArgumentHelp(
      "Write events that TensorBoard shows to this folder.",
      discussion: "Scalars of the metrics, histograms of the weights, and samples of a text.",
      valueName: "folder"))
  var tensorboard: String?

  /// Read by `Invocation` before anything is parsed.
  @Option(
    help: ArgumentHelp(
      "Take options from this file, those given here before its own.",
      discussion: """
        YAML with a line 'name: value' for each option, by its name without dashes; flags are true or \
        false, several values a list. The run's folder keeps all settings as config.yaml, which repeats \
        the run.
        """, valueName: "file.yaml"))
  var config: String?

  func validate() throws {
    if resume != nil, output != nil || force {
      throw ValidationError("--resume goes on in the run's own folder, without --output or --force")
    }
    if resume != nil, from != nil {
      throw ValidationError(
        "--resume goes on with a run as it was, --from begins a new one; expected only one of them")
    }
    if prefix != nil, from == nil {
      throw ValidationError("--prefix chooses a stack of --from, which was not given")
    }
  }
}

/// Where a run ends: at the first bound that it meets.
struct TrainBoundOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The passes over the data.", valueName: "count"))
  var maxEpochs: Int?

  @Option(help: ArgumentHelp("The updates of the parameters.", valueName: "count"))
  var maxSteps: Int?

  @Option(
    help: ArgumentHelp(
      "The time of all sessions of the run together: 90, 90s, 10m or 2h.", valueName: "time"))
  var maxTime: TimeSpan?

  /// Whether none was given.
  private var isEmpty: Bool { maxEpochs == nil && maxSteps == nil && maxTime == nil }

  /// The bounds that were given, or `defaults` where none was.
  func bounds(defaults: TrainingBounds) -> TrainingBounds {
    isEmpty ? defaults : bounds(over: TrainingBounds())
  }

  /// The bounds of an earlier session with what was given in their place.
  func bounds(over earlier: TrainingBounds) -> TrainingBounds {
    TrainingBounds(
      maxEpochs: maxEpochs ?? earlier.maxEpochs, maxSteps: maxSteps ?? earlier.maxSteps,
      maxSeconds: maxTime?.seconds ?? earlier.maxSeconds)
  }
}

/// A time on the command line: a number with `s`, `m` or `h` behind it, seconds where there is none.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
    let unit = argument.last.flatMap { units[$0] }
    guard let number = Double(unit == nil ? argument : String(argument.dropLast())), number > 0
    else { return nil }
    seconds = number * (unit ?? 1)
    guard seconds.isFinite else { return nil }
  }
}

extension SaveInterval: ExpressibleByArgument {
  /// A whole number counts updates; what has a unit is a time.
  public init?(argument: String) {
    if let count = Int(argument) {
      guard count > 0 else { return nil }
      self = .steps(count)
    } else {
      guard let time = TimeSpan(argument: argument) else { return nil }
      self = .seconds(time.seconds)
    }
  }
}
