import Foundation

/// How values lie on an axis.
package enum ChartScale: Sendable {
  /// In equal distances.
  case linear
  /// By their logarithms; what is not above 0 has no place.
  case logarithmic
}

/// An axis: its range between round numbers, and the numbers to label.
struct ChartAxis {
  /// How values lie on it.
  let scale: ChartScale
  /// The ends.
  let range: ClosedRange<Double>
  /// The pixels at the two ends.
  let pixels: (Double, Double)
  /// The numbers to label.
  let ticks: [Double]

  /// Makes an axis that holds `values`, which are positive on a logarithmic one.
  ///
  /// Its ends are round numbers, or those of `values` where it is `tight`. About `count` numbers are labelled.
  init(
    _ scale: ChartScale = .logarithmic, holding values: ClosedRange<Double>,
    pixels: (Double, Double), tight: Bool = false, count: Int = 8
  ) {
    self.scale = scale
    self.pixels = pixels
    switch scale {
    case .linear:
      var (lower, upper) = (values.lowerBound, values.upperBound)
      if upper <= lower { upper = lower + max(abs(lower), 1) }
      let step = Self.step((upper - lower) / Double(count))
      if !tight {
        lower = (lower / step + 1e-9).rounded(.down) * step
        upper = (upper / step - 1e-9).rounded(.up) * step
      }
      range = lower...upper
      let first = Int((lower / step - 1e-9).rounded(.up))
      let last = Int((upper / step + 1e-9).rounded(.down))
      ticks = (first...max(first, last)).map { Double($0) * step }
    case .logarithmic:
      let powers =
        Int(log10(values.lowerBound).rounded(.down)) - 1...Int(
          log10(values.upperBound).rounded(.up)) + 1
      let all = powers.flatMap { power in [1, 2, 5].map { $0 * pow(10, Double(power)) } }
      var lower = all.last { $0 <= values.lowerBound * 1.001 } ?? values.lowerBound
      var upper = all.first { $0 >= values.upperBound * 0.999 } ?? values.upperBound
      if tight { (lower, upper) = (values.lowerBound, values.upperBound) }
      if upper <= lower { upper = lower * 10 }
      range = lower...upper
      let decades = log10(upper / lower)
      let stride = max(1, Int((decades / Double(count + 2)).rounded(.up)))
      let shown = lower * 0.999...upper * 1.001
      let top = Int((log10(upper) + 1e-9).rounded(.down))
      func marks(_ multiples: [Double]) -> [Double] {
        powers.filter { ($0 - top) % stride == 0 }.flatMap { power in
          multiples.map { $0 * pow(10, Double(power)) }
        }.filter(shown.contains)
      }
      let dense = marks([1, 2, 5])
      ticks = dense.count > count + 2 ? marks([1]) : dense
    }
  }

  /// Where a value lies.
  func position(_ value: Double) -> Double {
    let (lower, upper) = (range.lowerBound, range.upperBound)
    let part =
      scale == .linear
      ? (value - lower) / (upper - lower) : log(value / lower) / log(upper / lower)
    return pixels.0 + part * (pixels.1 - pixels.0)
  }

  /// Whether a value has a place on the axis, up to what rounding moves it beyond the end.
  func holds(_ value: Double) -> Bool {
    guard value.isFinite, scale == .linear || value > 0 else { return false }
    let (low, high) = (min(pixels.0, pixels.1), max(pixels.0, pixels.1))
    return low - 1...high + 1 ~= position(value)
  }

  /// 1, 2 or 5 times a power of ten, the smallest that is not below `least`.
  private static func step(_ least: Double) -> Double {
    let power = pow(10, log10(least).rounded(.down))
    return [1, 2, 5, 10].map { $0 * power }.first { $0 >= least * 0.999 } ?? 10 * power
  }
}

extension Double {
  /// A round number as an axis shows it, as SVG: plain, in thousands, or as a power of ten.
  var tickLabel: String {
    let power = log10(magnitude).rounded()
    if magnitude > 0, abs(log10(magnitude) - power) < 1e-9, !(-3...6).contains(power) {
      return (self < 0 ? "−" : "")
        + "10<tspan dy=\"-.4em\" font-size=\"75%\">\(Int(power))</tspan>"
    }
    switch magnitude {
    case 0: return "0"
    case 1e6...: return String(format: "%.4g", self / 1e6) + "M"
    case 1e4...: return String(format: "%.4g", self / 1e3) + "k"
    default: return String(format: "%.4g", self)
    }
  }
}
