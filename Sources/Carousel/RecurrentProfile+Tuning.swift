import CarouselModel
import CarouselOpenCL

/// Whether one way of computing is faster than another by more than the noise of turns that were taken
/// alternately.
package struct TuningVerdict: Sendable {
  /// The part of the time that it saves, by the median of the turns' ratios; negative where it is slower.
  package let gain: Double
  /// How far the middle half of the ratios spreads: a gain no larger than this is luck.
  package let noise: Double

  /// Compares the seconds of turns: `challenger[i]` was measured beside `rules[i]`, at least once.
  package init(challenger: [Double], rules: [Double]) {
    precondition(challenger.count == rules.count && !rules.isEmpty)
    let ratios = zip(challenger, rules).map { $0 / $1 }.sorted()
    let last = Double(ratios.count - 1)
    func quantile(_ part: Double) -> Double {
      let place = part * last
      let (below, above) = (Int(place), min(Int(place) + 1, ratios.count - 1))
      return ratios[below] + (place - Double(below)) * (ratios[above] - ratios[below])
    }
    gain = 1 - quantile(0.5)
    noise = quantile(0.75) - quantile(0.25)
  }

  /// Whether the gain is more than the noise; not where either is no number.
  package var wins: Bool { gain > noise && gain > 0 }
}

/// What `RecurrentProfile.tune` found.
package struct TuningOutcome: Sendable {
  /// Every way to compute the layers with the least of its medians, in seconds, the fastest first.
  package let choices: [(choice: LayerTuning, medianSeconds: Double)]
  /// The fastest way but the rules'.
  package let best: LayerTuning
  /// That way beside the rules', in turns of their own.
  package let verdict: TuningVerdict

  /// What is worth keeping: nil where the rules are as fast within the noise.
  package var winner: LayerTuning? { verdict.wins ? best : nil }
}

extension RecurrentProfile {
  /// Measures every choice of a backend's tuning and then the fastest beside the rules; the layers are
  /// computed in the winner's way from then on.
  ///
  /// The choices are measured in turn, `rounds` times, so that what else the machine does falls on all of
  /// them; the least of a choice's medians counts. The fastest of many is often the luckiest: whether it
  /// wins is decided by `turns` of it and the rules alone, alternately. `progress` is told what is being done.
  package func tune(
    on backend: OpenCLBackend, rounds: Int = 3, turns: Int = 9,
    progress: (String) -> Void = { _ in }
  ) throws -> TuningOutcome {
    let layers = configuration.units.map(\.layer)
    func medianSeconds(_ choice: LayerTuning) throws -> Double {
      backend.tune(layers, batchSize: batchSize, choice)
      let seconds = try wallSeconds(on: backend).sorted()
      return seconds[seconds.count / 2]
    }
    let (rules, choices) = (LayerTuning(), backend.tuningChoices)
    var least: [LayerTuning: Double] = [:]
    for round in 1...max(rounds, 1) {
      for (index, choice) in ([rules] + choices).enumerated() {
        progress("way \(index + 1) of \(choices.count + 1), round \(round) of \(max(rounds, 1))")
        least[choice] = min(least[choice] ?? .infinity, try medianSeconds(choice))
      }
    }
    let results = least.sorted { $0.value < $1.value }.map { (choice: $0, medianSeconds: $1) }
    guard let best = results.first(where: { $0.choice != rules })?.choice else {
      preconditionFailure("a backend without choices")
    }
    var seconds: (best: [Double], rules: [Double]) = ([], [])
    for turn in 0..<max(turns, 1) {
      progress("the fastest beside the rules, turn \(turn + 1) of \(max(turns, 1))")
      // Each is the first of its turn as often as the other.
      if turn % 2 == 0 { seconds.best.append(try medianSeconds(best)) }
      seconds.rules.append(try medianSeconds(rules))
      if turn % 2 == 1 { seconds.best.append(try medianSeconds(best)) }
    }
    let outcome = TuningOutcome(
      choices: results, best: best,
      verdict: TuningVerdict(challenger: seconds.best, rules: seconds.rules))
    backend.tune(layers, batchSize: batchSize, outcome.winner ?? rules)
    return outcome
  }
}
