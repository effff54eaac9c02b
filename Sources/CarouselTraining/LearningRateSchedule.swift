import Foundation

/// How the learning rate η moves over a run: a linear warm-up, then one of a few decays.
public struct LearningRateSchedule: Hashable, Sendable, Codable {
  /// What follows the warm-up.
  ///
  /// s is the number of steps taken since then, f how much of the run after
  /// the warm-up is over, from 0 to 1.
  public enum Decay: String, Hashable, Sendable, Codable, CaseIterable {
    /// η = peak.
    case constant
    /// η = final + (peak − final)·(1 + cos πf)/2 (Loshchilov & Hutter 2017, without restarts).
    case cosine
    /// η = peak + (final − peak)·f.
    case linear
    /// η = peak·factor^⌊s / decaySteps⌋, not below final.
    case step
    /// η = peak·√(decaySteps / max(s, decaySteps)), not below final: no end has to be known.
    case inverseSquareRoot = "inverse-sqrt"

    /// Whether η depends on where the run will end.
    public var needsHorizon: Bool { self == .cosine || self == .linear }
  }

  /// What follows the warm-up.
  public var decay: Decay
  /// η after the warm-up.
  public var peak: Double
  /// η at the end of `cosine` and `linear`, the least η of `step` and `inverse-sqrt`.
  public var final: Double
  /// The steps in which η rises: step s of the warm-up has η = peak·(s + 1)/warmupSteps.
  public var warmupSteps: Int
  /// The period of `step`, and where `inverse-sqrt` begins to fall.
  public var decaySteps: Int
  /// The factor of `step`.
  public var decayFactor: Double

  /// Describes a schedule.
  public init(
    _ decay: Decay, peak: Double, final: Double = 0, warmupSteps: Int = 0, decaySteps: Int = 500,
    decayFactor: Double = 0.5
  ) {
    self.decay = decay
    self.peak = peak
    self.final = final
    self.warmupSteps = warmupSteps
    self.decaySteps = decaySteps
    self.decayFactor = decayFactor
  }

  /// η of step `step`, counted from 0.
  ///
  /// `fraction` is f, how much of the run after the warm-up is over, in steps or in seconds; `cosine`
  /// and `linear` use it.
  public func learningRate(step: Int, fraction: Double) -> Double {
    if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
    let since = step - warmupSteps
    let f = min(max(fraction, 0), 1)
    switch decay {
    case .constant:
      return peak
    case .cosine:
      return final + (peak - final) * (1 + cos(.pi * f)) / 2
    case .linear:
      return peak + (final - peak) * f
    case .step:
      return max(final, peak * pow(decayFactor, Double(since / decaySteps)))
    case .inverseSquareRoot:
      return max(
        final, peak * (Double(decaySteps) / Double(max(since, decaySteps))).squareRoot())
    }
  }
}
