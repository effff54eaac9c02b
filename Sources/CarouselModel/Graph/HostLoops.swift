// The loops of a graph's operations on arrays of the host: what the reference computes with, and what
// constants are folded with.
package enum HostLoops {
  /// A function of each element.
  static func elementwise(
    _ function: ElementwiseFunction, _ inputs: [(values: [Double], view: StridedView)], count: Int
  ) -> [Double] {
    var places = inputs.map { $0.view.places }
    var arguments = [0.0, 0.0, 0.0, 0.0]
    var result: [Double] = []
    result.reserveCapacity(count)
    for _ in 0..<count {
      for index in inputs.indices {
        if let place = places[index].next() { arguments[index] = inputs[index].values[place] }
      }
      result.append(function.value(arguments[0], arguments[1], arguments[2], arguments[3]))
    }
    return result
  }

  /// A reduction, for every index of `kept` over all of `reduced`; `element` reads x.
  package static func reduce(
    _ reduction: Reduction, kept: StridedView, reduced: StridedView, scale: Double,
    _ element: (Int) -> Double
  ) -> [Double] {
    let offsets = Array(reduced.places)
    return kept.places.map { place in
      var result = reduction.identity
      for offset in offsets { result = reduction.combine(result, element(place + offset)) }
      return scale * result
    }
  }

  /// Chosen slices, zeros where a place is negative.
  static func gather(
    _ x: [Double], places: [Double], outer: Int, extent: Int, inner: Int
  ) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(outer * places.count * inner)
    for o in 0..<outer {
      for place in places {
        let first = (o * extent + Int(place)) * inner
        for i in 0..<inner {
          result.append(place >= 0 && place < Double(extent) ? x[first + i] : 0)
        }
      }
    }
    return result
  }
}

extension Reduction {
  /// What a reduction of no elements is.
  package var identity: Double {
    switch self {
    case .sum, .squareSum, .absoluteSum: 0
    case .maximum: -.infinity
    case .minimum: .infinity
    case .product: 1
    }
  }

  /// One more element; NaN stays.
  package func combine(_ sum: Double, _ x: Double) -> Double {
    switch self {
    case .sum: sum + x
    case .squareSum: sum + x * x
    case .absoluteSum: sum + x.magnitude
    case .maximum: x <= sum ? sum : sum.isNaN ? sum : x
    case .minimum: x >= sum ? sum : sum.isNaN ? sum : x
    case .product: sum * x
    }
  }
}
