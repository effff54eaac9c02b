extension ProfileReport.Peak {
  /// Takes the largest of several measurements, at least one, and how far they lie apart.
  package init(measured: [(gflops: Double, gigabytesPerSecond: Double)]) {
    self.init(
      gflops: measured.map(\.gflops).max() ?? 0,
      gigabytesPerSecond: measured.map(\.gigabytesPerSecond).max() ?? 0)
    measurements = measured.count
    gflopsSpread = Self.spread(measured.map(\.gflops))
    gigabytesPerSecondSpread = Self.spread(measured.map(\.gigabytesPerSecond))
  }

  /// The distance from the smallest to the largest value, as a part of the largest.
  static func spread(_ values: [Double]) -> Double {
    guard let least = values.min(), let most = values.max(), most > 0 else { return 0 }
    return (most - least) / most
  }

  /// Raises the peak to what work on the device reached, where that is more: no work is faster than it.
  package mutating func raise(gflops reached: Double, gigabytesPerSecond reachedBytes: Double) {
    if reached > gflops {
      gflops = reached
      isRaised = true
    }
    if reachedBytes > gigabytesPerSecond {
      gigabytesPerSecond = reachedBytes
      isRaised = true
    }
  }
}

extension ProfileReport.Wall {
  /// Sums up the seconds of at least one pass of `flops` operations each by the nominal count, of which
  /// `neededFlops` cannot be done without.
  package init(
    seconds: [Double], flops: Double, neededFlops: Double, peak: ProfileReport.Peak
  ) {
    let sorted = seconds.sorted()
    let middle = sorted.count / 2
    let median =
      sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    let neededGflops = neededFlops / median * 1e-9
    self.init(
      medianSeconds: median, minSeconds: sorted[0], gflops: flops / median * 1e-9,
      neededGflops: neededGflops, fractionOfPeak: neededGflops / peak.gflops)
  }
}

extension ProfileReport.Bound {
  /// A rate below this part of a roof is not held back by it.
  package static let nearRoof = 0.5

  /// The roof that a kernel is near to, the nearer of two; latency where it reaches half of neither.
  ///
  /// Bytes that come faster than memory gives them come from the caches: memory does not hold back then.
  package init(gflops: Double, gigabytesPerSecond: Double, peak: ProfileReport.Peak) {
    let compute = gflops / peak.gflops
    let memory = gigabytesPerSecond / peak.gigabytesPerSecond
    let isByMemory = memory >= Self.nearRoof && memory <= 1
    if compute >= Self.nearRoof && !(isByMemory && memory > compute) {
      self = .compute
    } else {
      self = isByMemory ? .memory : .latency
    }
  }
}

extension ProfileReport {
  /// Measurements of the peak that lie further apart than this are remarked on.
  package static let unsteadySpread = 0.2

  /// What a reader has to know before the figures are believed, a sentence each.
  package var notes: [String] {
    var result: [String] = []
    let spread = max(peak.gflopsSpread, peak.gigabytesPerSecondSpread)
    if spread > Self.unsteadySpread {
      result.append(
        "the measurements of the peak differ by \((spread * 100).fixed(0))%: the device was busy or "
          + "changed its clock, and all rates may be too low")
    }
    if peak.isRaised {
      result.append(
        "a kernel was faster than every measurement of the peak, so its rate is taken as the peak: "
          + "measure again on an idle machine")
    }
    if kernels.contains(where: { $0.gigabytesPerSecond > peak.gigabytesPerSecond }) {
      result.append("GB/s above the peak come from the caches: the peak is that of memory")
    }
    return result
  }

  /// Whether the nominal count of operations says something else than the layer's own.
  package var hasNominalRate: Bool { wall.gflops > 1.05 * wall.neededGflops }
}
