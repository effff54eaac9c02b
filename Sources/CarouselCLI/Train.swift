import ArgumentParser

/// `carousel train`: one subcommand for each task.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a network.",
    subcommands: [
      TrainText.self, TrainClassify.self, TrainForecast.self, TrainTag.self, TrainAdding.self,
      TrainCopy.self, TrainGraph.self,
    ])
}
