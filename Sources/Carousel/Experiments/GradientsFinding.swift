import CarouselFormats
import CarouselModel
import Foundation

/// What training an RNN with exploding gradients does with and without a bound on their norm.
struct ClippingCurves {
  /// The norms at each update of the first seed.
  private(set) var clipped: [Double] = [], free: [Double] = []
  /// The largest norms, and the errors at the end, of all seeds.
  private(set) var largest: [Double] = [], clippedLosses: [Double] = [], freeLosses: [Double] = []

  /// Adds a training of the next seed.
  mutating func add(_ norms: [Double], _ loss: Double, isClipped: Bool) {
    if isClipped {
      if clipped.isEmpty { clipped = norms }
      clippedLosses.append(loss)
    } else {
      if free.isEmpty { free = norms }
      freeLosses.append(loss)
      largest.append(norms.filter(\.isFinite).max() ?? .nan)
    }
  }
}

extension GradientsExperiment {
  /// What was seen, computed from the numbers.
  func finding(_ cases: [Case], _ clipping: ClippingCurves) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    func sentence(_ cell: Cell) -> String? {
      let own = cases.filter { $0.cell == cell }
      guard !own.isEmpty else { return nil }
      let parts = own.map {
        "\(scientificText($0.row.all("firstNorm").geometricMean)) (\($0.row.name))"
      }
      return parts.joined(separator: ", ")
    }
    let left = Cell.allCases.compactMap(sentence).joined(separator: ", ")
    var words = [
      "Of a gradient of 1 at step \(length) there is left at step 1, as a geometric mean over the seeds: "
        + left + "."
    ]
    let rnn = cases.filter { $0.cell == .rnn }
    if let low = rnn.first, let high = rnn.last, low.radius != high.radius {
      let vanishes = low.row.all("slope").allSatisfy { $0 < 0 }
      let explodes = high.row.all("slope").allSatisfy { $0 > 0 }
      words.append(
        "With the radius \((low.radius ?? 0).formatted()) it \(vanishes ? "vanishes" : "does not always vanish"), "
          + "with \((high.radius ?? 0).formatted()) it "
          + (explodes
            ? "explodes with every seed."
            : "does not explode with every seed: tanh's slope holds it."))
    }
    let lstm = cases.filter { $0.cell == .lstm }.sorted {
      ($0.forgetBias ?? 0) < ($1.forgetBias ?? 0)
    }
    if lstm.count > 1 {
      let rises = zip(lstm, lstm.dropFirst()).allSatisfy { lower, higher in
        zip(lower.row.all("slope"), higher.row.all("slope")).allSatisfy(<)
      }
      words.append(
        rises
          ? "A larger forget bias keeps more of it, with every seed."
          : "A larger forget bias does not keep more of it with every seed.")
    }
    let pairs = cases.flatMap { zip($0.row.all("slope"), $0.row.all("lyapunov")) }
      .filter { $0.isFinite && $1.isFinite }
    if let worst = pairs.map({ abs($0 - $1) }).max() {
      words.append(
        "Slope and Lyapunov exponent differ by at most \(worst.readable) nats a step before training."
      )
    }
    if let largest = clipping.largest.max(), !clipping.freeLosses.isEmpty {
      words.append(
        "Without clipping the norm of all gradients of the RNN with the radius 1.4 rises to \(largest.readable) "
          + "in training, and the error is \(clipping.freeLosses.mean.readable) in the end; with a bound of 1 it is "
          + "\(clipping.clippedLosses.mean.readable).")
    }
    return words.joined(separator: " ")
  }

  /// The pictures of what was measured.
  func figures(_ cases: [Case], _ clipping: ClippingCurves) -> [ExperimentResult.Figure] {
    func plot(_ norms: KeyPath<Case, [GradientNorm]>, _ when: String) -> LineChart {
      GradientPlot(
        cases.map { GradientPlot.Line(name: $0.row.name, norms: $0[keyPath: norms]) },
        label: "The norm of the gradient at each step, \(when)"
      ).chart
    }
    guard !cases.isEmpty else { return [] }
    var figures = [
      ExperimentResult.Figure(
        name: "before", picture: plot(\.before, "before training"),
        caption: "Before training, the first seed: solid ∂loss/∂h, dashed ∂loss/∂c."),
      ExperimentResult.Figure(
        name: "after", picture: plot(\.after, "after training"),
        caption: "The same after \(updates) updates on the adding problem."),
    ]
    guard !clipping.free.isEmpty else { return figures }
    figures.append(
      ExperimentResult.Figure(
        name: "clipping",
        picture: LineChart(
          "The norm of the gradient in training, with and without clipping",
          x: LineChart.Axis("update"),
          y: LineChart.Axis("norm of all gradients before it is cut", scale: .logarithmic),
          series: [
            LineChart.Series("no clipping", values: clipping.free, colour: 1),
            LineChart.Series("cut to 1", values: clipping.clipped, colour: 0),
          ], marks: [LineChart.Mark(y: 1, name: "the bound")]),
        caption: """
          What clipping does: an RNN with the radius 1.4 learns to add. Where the norm is above the bound, the \
          gradient keeps its direction and gets the norm 1.
          """))
    return figures
  }
}

/// A number with two digits and its power of ten: `3.1e-12`; plain near 1.
func scientificText(_ value: Double) -> String {
  guard value.isFinite, value != 0, !(0.01..<1000).contains(value.magnitude) else {
    return value.readable
  }
  return String(format: "%.1e", value)
}
