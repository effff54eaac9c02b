import Carousel
import Foundation

/// `--report`: a run on one page, which needs no other file.
struct TrainPage {
  private let report: TrainReport
  private let settings: TrainingSettings
  private let lines: [TrainingMetrics]
  private let forecasts: [ForecastSample]
  private let sample: String?
  private let shape: [(name: String, value: String)]
  private let network: [(name: String, value: String)]

  /// Gathers what the page shows: the metrics of `folder`, and what the best model does.
  init<B: Backend>(
    _ trainer: Trainer<B>, _ examples: TrainingExamples?, _ report: TrainReport,
    in folder: RunFolder
  ) throws {
    self.report = report
    settings = trainer.settings
    lines = try JSONLines.read(TrainingMetrics.self, from: folder.metrics)
    forecasts = try examples.map { try trainer.forecastSamples($0, in: folder) } ?? []
    sample = try trainer.sample(length: 600)
    var shape: [(name: String, value: String)] = []
    if let examples {
      let data = examples.description
      shape = [
        ("file", data.settings.file), ("sequences to learn from", "\(examples.count)"),
        ("held out", "\(examples.validationCount)"), ("longest", "\(data.longest) steps"),
      ]
      if !data.channels.isEmpty { shape.append(("channels", "\(data.channels.count)")) }
      if let words = data.words { shape.append(("words", "\(words.count)")) }
      if let classes = data.classes { shape.append(("classes", "\(classes.count)")) }
    } else if let bytes = trainer.byteCounts {
      shape = [
        ("bytes to learn from", "\(bytes.training)"), ("bytes held out", "\(bytes.validation)"),
        ("bytes to test on", "\(bytes.test)"), ("bytes it knows", "\(trainer.vocabulary.count)"),
      ]
    } else {
      shape = [("sequence length", "\(settings.sequenceLength)")]
    }
    let count = trainer.network.configuration.parameterDescriptions.reduce(0) {
      $0 + $1.shape.count
    }
    shape += [
      ("updates an epoch", "\(trainer.epochSteps)"),
      ("sequences an update", "\(settings.updateSize)"),
      ("parameters", "\(count)"),
    ]
    self.shape = shape
    let recurrent = settings.recurrent
    network = [
      ("cell", recurrent.cell.rawValue), ("hidden size", "\(recurrent.hiddenSize)"),
      ("layers", "\(recurrent.layers)"), ("direction", recurrent.direction.rawValue),
    ]
  }

  /// Gathers what the page of a graph's run shows.
  init<B: Backend>(
    _ trainer: GraphTrainer<B>, _ report: TrainReport, in folder: RunFolder
  ) throws {
    self.report = report
    settings = trainer.settings.training
    lines = try JSONLines.read(TrainingMetrics.self, from: folder.metrics)
    (forecasts, sample) = ([], nil)
    let counts = trainer.counts
    shape = [
      ("model", trainer.settings.model), ("data", trainer.settings.data),
      ("examples to learn from", "\(counts.training)"), ("held out", "\(counts.validation)"),
      ("to test on", "\(counts.test)"), ("updates an epoch", "\(trainer.epochSteps)"),
      ("examples an update", "\(settings.updateSize)"),
    ]
    network = [
      ("loss", trainer.settings.objective?.words ?? ""),
      ("trained tensors", "\(trainer.trainedNames.count)"),
      ("trained parameters", "\(trainer.trainedElements)"),
    ]
  }

  /// The page.
  var page: HTMLPage {
    HTMLPage(
      kind: "Training run", title: "\(report.task): \(report.run)",
      subtitle:
        "\(report.step) updates, epoch \(report.epoch), \(report.seconds.timeText) on \(report.device)",
      blocks: [.figures(figures), .heading("How it learnt")] + curves
        + [.heading("What the best model does")] + measured + shown
        + [
          .heading("The run"), .commands([command]), .heading("Data and network"),
          .details(
            shape + [("device", report.device)] + network
              + [("optimizer", settings.optimizer.kind.rawValue), ("seed", "\(settings.seed)")]),
        ])
  }

  private var figures: [HTMLPage.Figure] {
    let parts: [(part: String, metrics: TaskMetrics?)] = [
      ("test", report.test), ("held out", report.best?.metrics ?? report.validation),
    ]
    guard let (part, found) = parts.first(where: { $0.metrics != nil }), let metrics = found else {
      return []
    }
    return metrics.named.prefix(4).map { name, value in
      HTMLPage.Figure(value.readableMetric, name: name, note: part)
    }
  }

  /// The command, as a shell takes it.
  private var command: String {
    let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-_./=:,@%+"))
    return
      (["carousel"]
      + SystemArguments.words.map { word in
        !word.isEmpty && word.unicodeScalars.allSatisfy(plain.contains)
          ? word : "'" + word.replacing("'", with: "'\\''") + "'"
      }).joined(separator: " ")
  }

  // MARK: Curves

  private func points(_ value: (TrainingMetrics) -> Double?) -> [LineChart.Point] {
    lines.compactMap { line in
      value(line).map { LineChart.Point(x: Double(line.step), y: $0) }
    }
  }

  private func chart(
    _ label: String, _ axis: LineChart.Axis, _ series: [LineChart.Series], caption: String
  ) -> [HTMLPage.Block] {
    let series = series.filter { !$0.points.isEmpty }
    guard !series.isEmpty else { return [] }
    return [
      .picture(
        LineChart(label, x: LineChart.Axis("update"), y: axis, series: series), caption: caption)
    ]
  }

  private var curves: [HTMLPage.Block] {
    let best = report.best.map { " The best model is that of update \($0.step)." } ?? ""
    return chart(
      "The loss of training and of what is held out, by update", LineChart.Axis("loss"),
      [
        LineChart.Series("training", points: points(\.trainingLoss)),
        LineChart.Series("held out", points: points(\.validationLoss)),
      ], caption: "The mean loss since the line before, and that of what is held out." + best)
      + chart(
        "Shares of what is held out that are right, by update",
        LineChart.Axis("share", including: 0...1),
        [
          LineChart.Series("accuracy", points: points(\.accuracy)),
          LineChart.Series("macro F1", points: points(\.macroF1)),
          LineChart.Series("F1 of spans", points: points(\.spanF1)),
          LineChart.Series("coverage of the band", points: points(\.coverage)),
        ], caption: "Of what is held out.")
      + chart(
        "Errors of the forecast of what is held out, by update",
        LineChart.Axis("error in units of the data"),
        [
          LineChart.Series("MAE", points: points(\.mae)),
          LineChart.Series("RMSE", points: points(\.rmse)),
        ], caption: "Of what is held out.")
      + chart(
        "The learning rate, by update", LineChart.Axis("learning rate"),
        [LineChart.Series("", points: points(\.learningRate))], caption: "The learning rate.")
      + chart(
        "The norm of the gradient, by update", LineChart.Axis("norm", scale: .logarithmic),
        [LineChart.Series("", points: points(\.gradientNorm))],
        caption: "The norm of the whole gradient before it is cut"
          + (settings.clipNorm.map { " to \($0)." } ?? "."))
  }

  // MARK: What the model does

  private var measured: [HTMLPage.Block] {
    let parts = [
      ("training", report.train), ("held out", report.validation), ("test", report.test),
    ].compactMap { name, metrics in metrics.map { (name, $0.named) } }
    guard let names = parts.max(by: { $0.1.count < $1.1.count })?.1.map(\.name) else { return [] }
    let rows = names.map { name in
      [name]
        + parts.map { part in part.1.first { $0.name == name }?.value.readableMetric ?? "" }
    }
    return [.table(columns: [""] + parts.map(\.0), rows: rows)]
  }

  private var shown: [HTMLPage.Block] {
    confusion + forecasts.map(picture)
      + (sample.map { text in
        [
          .paragraph("What it writes of itself, at a temperature of 0.8:"),
          .commands([text]),
        ]
      } ?? [])
  }

  private var confusion: [HTMLPage.Block] {
    let part = report.test?.confusion != nil ? "test" : "held out"
    guard let counts = report.test?.confusion ?? report.validation?.confusion,
      let classes = report.classes, classes.count == counts.count
    else { return [] }
    guard counts.count <= 25 else {
      return [
        .note("The confusion of \(counts.count) classes is in --json; a page has room for 25.")
      ]
    }
    return [
      .paragraph("How often each class, a row, was taken for each, a column (\(part)):"),
      .table(
        columns: ["class"] + classes,
        rows: zip(classes, counts).map { name, row in [name] + row.map(String.init) }),
    ]
  }

  private func picture(_ sample: ForecastSample) -> HTMLPage.Block {
    let predicted = sample.steps.compactMap { step in
      step.value.map { LineChart.Point(x: Double(step.step), y: $0, spread: step.band) }
    }
    let truth = sample.steps.map { LineChart.Point(x: Double($0.step), y: $0.truth) }
    let series = sample.id.isEmpty ? "" : " of \(sample.id)"
    let ahead = sample.horizon == 1 ? "one step ahead" : "up to \(sample.horizon) steps ahead"
    let hasBand = sample.steps.contains { $0.band != nil }
    return .picture(
      LineChart(
        "\(sample.target)\(series): forecast and truth, by step", x: LineChart.Axis("step"),
        y: LineChart.Axis(sample.target),
        series: [
          LineChart.Series("truth", points: truth),
          LineChart.Series("forecast", points: predicted, style: .dashed),
        ]),
      caption: "\(sample.target)\(series), \(ahead), of the \(sample.part) part"
        + (hasBand ? ", with the band of the forecast." : "."))
  }
}

extension TaskMetrics {
  /// The metrics under their names, the most telling first.
  fileprivate var named: [(name: String, value: Double)] {
    let all: [(name: String, value: Double?)] = [
      ("bits per byte", bitsPerByte), ("bits per character", bitsPerCharacter),
      ("accuracy", accuracy), ("macro F1", macroF1), ("F1 of spans", spanF1),
      ("accuracy of the most frequent tag", mostFrequentTag), ("MASE", forecast?.mase),
      ("MAE", forecast?.mae), ("RMSE", forecast?.rmse), ("sMAPE", forecast?.smape),
      ("coverage", coverage), ("persistence's MAE", persistence?.mae),
      ("seasonal persistence's MAE", seasonalPersistence?.mae), ("loss", loss),
    ]
    return all.compactMap { name, value in value.map { (name, $0) } }
  }
}

extension Double {
  /// Four digits behind the point of what is below 100, else one.
  fileprivate var readableMetric: String { decimal(self, digits: magnitude < 100 ? 4 : 1) }
}
