import CarouselModel
import Foundation

/// How a token is drawn from the logits that a network gives for it.
///
/// Softmax of logits / temperature; of that the `topK` most probable tokens; of those the fewest
/// most probable ones whose probabilities reach `topP` (nucleus sampling, Holtzman et al. 2020);
/// what is left is scaled to a sum of 1. Of equal logits the lower token counts as more probable.
public struct TokenSampler: Hashable, Sendable {
  /// Divides the logits; 0 always takes the most probable token.
  public let temperature: Double
  /// The number of tokens to draw from; nil allows all.
  public let topK: Int?
  /// The probability that the tokens to draw from must reach; nil allows all.
  public let topP: Double?

  /// Throws a usage error where a value makes no sense.
  public init(
    temperature: Double = 1, topK: Int? = nil, topP: Double? = nil
  ) throws(CarouselError) {
    guard temperature >= 0, temperature.isFinite else {
      throw CarouselError(
        .usage, "the temperature must be at least 0 and finite, but is \(temperature)")
    }
    if let topK, topK < 1 {
      throw CarouselError(.usage, "top-k must be at least 1 token, but is \(topK)")
    }
    if let topP, !(topP > 0 && topP <= 1) {
      throw CarouselError(.usage, "top-p must be above 0 and at most 1, but is \(topP)")
    }
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
  }

  /// The probability of each token, 0 for those that are left out; throws where there is no token.
  public func probabilities(logits: [Double]) throws(CarouselError) -> [Double] {
    guard !logits.isEmpty else {
      throw CarouselError(.usage, "a token is drawn from logits, but there are none")
    }
    let order = logits.indices.sorted {
      logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1)
    }
    var result = [Double](repeating: 0, count: logits.count)
    guard temperature > 0 else {
      result[order[0]] = 1
      return result
    }
    let weights = order.map { exp((logits[$0] - logits[order[0]]) / temperature) }
    var kept = min(topK ?? order.count, order.count)
    if let topP {
      let needed = topP * weights[..<kept].reduce(0, +)
      var sum = 0.0
      kept =
        (weights[..<kept].firstIndex {
          sum += $0
          return sum >= needed
        } ?? kept - 1) + 1
    }
    let total = weights[..<kept].reduce(0, +)
    for (token, weight) in zip(order, weights[..<kept]) { result[token] = weight / total }
    return result
  }

  /// The token that a number drawn uniformly from [0, 1) stands for; throws where there is no token.
  public func token(logits: [Double], uniform: Double) throws(CarouselError) -> Int32 {
    let probabilities = try probabilities(logits: logits)
    var sum = 0.0
    var last: Int32 = 0
    for (token, probability) in probabilities.enumerated() where probability > 0 {
      sum += probability
      last = Int32(token)
      if uniform < sum { return last }
    }
    return last
  }
}
