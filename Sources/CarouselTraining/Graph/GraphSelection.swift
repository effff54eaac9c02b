import CarouselFormats
import CarouselModel

/// Which parameters of a graph training changes, and how fast, by patterns of their names.
///
/// In a pattern `*` stands for any characters and `?` for one; without either it has to be the whole name.
public struct GraphSelection: Hashable, Sendable, Codable {
  /// A learning rate for the parameters of a pattern.
  public struct Rate: Hashable, Sendable, Codable {
    /// Which parameters, and η for them where the others have the schedule's peak.
    public var pattern: String, rate: Double

    /// Gathers both.
    public init(pattern: String, rate: Double) {
      self.pattern = pattern
      self.rate = rate
    }
  }

  /// Only these are trained; empty stands for all.
  public var trained: [String] = []
  /// These are not, whatever `trained` says.
  public var frozen: [String] = []
  /// Learning rates; the last one that matches counts.
  public var rates: [Rate] = []

  /// Trains all parameters alike.
  public init() {}

  /// The graph with its parameters frozen or free, those of one learning rate side by side, and the factor
  /// of the learning rate of each that is trained.
  ///
  /// Throws a usage error where a pattern matches nothing, no parameter is left to train, or a rate is not
  /// above 0.
  func apply(
    to graph: Graph, learningRate: Double
  ) throws(CarouselError) -> (graph: Graph, factors: [Double]) {
    let names = graph.trainedParameters.map(\.name)
    for (option, pattern) in trained.map({ ("--train", $0) }) + frozen.map({ ("--freeze", $0) })
      + rates.map({ ("--learning-rate-for", $0.pattern) })
    where !names.contains(where: { Self.matches($0, pattern) }) {
      throw CarouselError(
        .usage,
        "\(option) \(pattern): no parameter of the model has such a name"
          + suggestion(for: pattern, among: names))
    }
    for rate in rates where !(rate.rate > 0 && rate.rate.isFinite) {
      throw CarouselError(
        .usage, "--learning-rate-for \(rate.pattern) must be above 0, but is \(rate.rate)")
    }
    var free: [(parameter: GraphParameter, factor: Double)] = []
    var others: [GraphParameter] = []
    for var parameter in graph.parameters {
      let name = parameter.description.name
      func isNamed(_ patterns: [String]) -> Bool {
        patterns.contains { Self.matches(name, $0) }
      }
      parameter.isTrained =
        parameter.isTrained && (trained.isEmpty || isNamed(trained)) && !isNamed(frozen)
      guard parameter.isTrained else {
        others.append(parameter)
        continue
      }
      let rate = rates.last { Self.matches(name, $0.pattern) }?.rate
      free.append((parameter, (rate ?? learningRate) / learningRate))
    }
    guard !free.isEmpty else {
      throw CarouselError(.usage, "no parameter is left to train: all of \(names.count) are frozen")
    }
    var ordered: [(parameter: GraphParameter, factor: Double)] = []
    for factor in Set(free.map(\.factor)).sorted() {
      ordered += free.filter { $0.factor == factor }
    }
    var result = graph
    result.parameters = ordered.map(\.parameter) + others
    return (result, ordered.map(\.factor))
  }

  /// Whether a name is what a pattern says.
  static func matches(_ name: String, _ pattern: String) -> Bool {
    let (name, pattern) = (Array(name), Array(pattern))
    // Where the last star is, and how far the name was read then.
    var star: (pattern: Int, name: Int)?
    var (i, j) = (0, 0)
    while i < name.count {
      if j < pattern.count, pattern[j] == "*" {
        star = (j, i)
        j += 1
      } else if j < pattern.count, pattern[j] == "?" || pattern[j] == name[i] {
        i += 1
        j += 1
      } else if let last = star {
        star = (last.pattern, last.name + 1)
        i = last.name + 1
        j = last.pattern + 1
      } else {
        return false
      }
    }
    return pattern[j...].allSatisfy { $0 == "*" }
  }
}
