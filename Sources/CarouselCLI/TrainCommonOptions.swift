import ArgumentParser
import Carousel

/// The options of every task of `carousel train`: the run's folder, the network, the optimization, the
/// length of the run, the device and the seed.
struct TrainCommonOptions: ParsableArguments {
  @OptionGroup var place: TrainRunOptions
  @OptionGroup(title: "Network") var recurrent: RecurrentOptions
  @OptionGroup(title: "Optimization") var training: TrainOptions
  @OptionGroup(title: "Optimization") var work: WorkOptions
  @OptionGroup(title: "Length of the run") var bounds: TrainBoundOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  /// Whether nothing was given that decides what is computed, but for where the run ends.
  var isEmpty: Bool {
    recurrent.isEmpty && training.isEmpty && work.isEmpty && seed.given == nil
  }

  /// What trains and shows how far it is.
  var session: TrainSession {
    TrainSession(
      place: place, output: output, logsGradients: training.logGradients,
      logsRanks: training.logRanks)
  }

  /// The model of `--from`; nil where it is absent.
  func startingWeights() throws -> StartingWeights? { try place.startingWeights(recurrent) }

  /// The settings of a new run: `defaults` with what was given in their place, the seed and the device.
  ///
  /// `complete` changes them before they are checked. Throws a usage error where they make no sense.
  func settings(
    defaults: TrainingSettings, from: StartingWeights?, _ ranks: any Communicator,
    _ complete: (inout TrainingSettings) throws -> Void = { _ in }
  ) throws -> TrainingSettings {
    var result = try training.settings(
      recurrent: recurrent, work: work, bounds: bounds, defaults: defaults, from: from)
    try complete(&result)
    if ranks.count > 1 { result.shards = result.shards ?? ranks.count }
    result.seed = seed.seed
    result.prefix = place.prefix
    device.record(in: &result)
    try result.validate()
    return result
  }

  /// The last checkpoint of a run that is resumed; throws bad data where the run is one of another task.
  func checkpoint(of task: TrainingTask, in folder: RunFolder) throws -> Checkpoint {
    let checkpoint = try Checkpoint(contentsOf: folder.last)
    guard checkpoint.description.task == task else {
      throw CarouselError(
        .badData,
        "\(checkpoint.path): expected a run of 'train \(task.rawValue)', found one of "
          + "'train \(checkpoint.description.task.rawValue)'")
    }
    return checkpoint
  }

  /// The settings of a run that is resumed: the checkpoint's, with the bounds that were given.
  func settings(resuming checkpoint: Checkpoint) -> TrainingSettings {
    var settings = checkpoint.description.settings
    settings.bounds = bounds.bounds(over: settings.bounds)
    if training.shardOptimizer { settings.shardOptimizer = true }
    return settings
  }

  /// The weights of `--from` for a network; says what of them matches.
  func weights(
    of model: StartingWeights?, for network: NetworkConfiguration,
    vocabulary: ByteVocabulary? = nil
  ) throws -> InitialWeights? {
    try model?.weights(for: network, vocabulary: vocabulary, isQuiet: output.quiet)
  }

  /// Throws a usage error where an option gives the layers' input another size than the data have; `sentence`
  /// says so of an option and its value.
  func requireInputSize(_ size: Int, _ sentence: (String, Int) -> String) throws {
    for (option, given) in [
      ("--input-size", recurrent.stack.inputSize), ("--embedding-size", training.embeddingSize),
    ] {
      if let given, given != size { throw CarouselError(.usage, sentence(option, given)) }
    }
  }
}
