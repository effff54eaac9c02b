import ArgumentParser
import Carousel

/// `carousel train tag`: a tag for each word of a sequence.
struct TrainTag: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "tag",
    abstract: "Trains a network to tag each word of a sequence.",
    discussion: """
      The data are columns separated by white space, a word a line and an empty line between \
      sequences (CoNLL): the first column has the words, the last one the tags. Or a CSV file with \
      --id, which tells sequences apart, --label for the tags and --word for the words. Words that the \
      training part lacks are read as one unknown word; half of those that it has once are read so in \
      each training step. Of BIO tags (B-X, I-X, O) the F1 of spans is measured too. Of \
      a file above 256 MiB sequences are read when they are trained on, and a sample says which words and \
      tags there are; --classes names all tags.
      """)

  static let basics = ["label", "classes", "word", "id", "time"] + TrainExampleOptions.basics
  static var defaults: [String: String] {
    TrainingSettings.defaults(for: .tag).exampleHelpDefaults
  }

  @OptionGroup var examples: TrainExampleOptions

  @Option(help: ArgumentHelp("Of a table, the column of the tags.", valueName: "column"))
  var label: String?

  @Option(
    help: ArgumentHelp(
      "All tags, in the order of the outputs; without it those of the data.",
      valueName: "name,…"))
  var classes: NameList?

  @Option(
    help: ArgumentHelp(
      "Of a table, the column of the words; without it the one that is left.", valueName: "column"))
  var word: String?

  @OptionGroup(title: "Optimization") var targets: ClassOptions

  func run() throws {
    let isPlain = label == nil && classes == nil && word == nil && targets.isEmpty
    try examples.run(.tag, isPlain: isPlain) { data in
      (data.columns.label, data.classes) = (label, classes?.names)
      data.word = word
      targets.apply(to: &data)
    }
  }
}
