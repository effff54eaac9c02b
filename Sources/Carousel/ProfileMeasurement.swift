import CarouselFormats
import CarouselOpenCL

/// One timed pass of a profile.
package struct TimedPass: Sendable {
  /// The time by the host's clock, from an idle device to an idle device.
  package let seconds: Double
  /// What the device launched for it, in order; empty on a backend that does not profile.
  package let launches: [LaunchRecord]

  /// Gathers what was measured.
  package init(seconds: Double, launches: [LaunchRecord]) {
    self.seconds = seconds
    self.launches = launches
  }
}

/// The timed passes of a profile, and the device's peak as it was measured around them.
package struct ProfileMeasurement: Sendable {
  /// The timed passes in their order, at least one.
  package let passes: [TimedPass]
  /// What was measured before, between and after the passes, and again where a pass was faster.
  package private(set) var peaks: [DevicePeak]
  /// The operations of a pass as `RecurrentProfile` counts them.
  package let flops: Double, neededFlops: Double
  /// The bytes that the device's caches hold: what is no larger may never come from memory.
  package let cacheBytes: Int

  /// Gathers what was measured.
  package init(
    passes: [TimedPass], peaks: [DevicePeak], flops: Double, neededFlops: Double, cacheBytes: Int
  ) {
    precondition(!passes.isEmpty && !peaks.isEmpty)
    self.passes = passes
    self.peaks = peaks
    self.flops = flops
    self.neededFlops = neededFlops
    self.cacheBytes = cacheBytes
  }

  /// The pass with the median time; of two in the middle the faster, so that its kernels take no longer
  /// together than the median.
  package var medianPass: TimedPass {
    passes.sorted { $0.seconds < $1.seconds }[(passes.count - 1) / 2]
  }

  /// The largest rates that work on the device reached: those of the median pass and of its kernels.
  ///
  /// Bytes count for kernels alone that move more of them in one launch than the caches hold.
  package var reached: DevicePeak {
    let pass = medianPass
    let kernels = KernelSums.all(of: pass.launches)
    let rates = kernels.map(\.gflops) + [neededFlops / pass.seconds * 1e-9]
    let bandwidths = kernels.filter { $0.bytes / Double($0.count) > Double(cacheBytes) }
      .map(\.gigabytesPerSecond)
    return DevicePeak(
      gflops: rates.max() ?? 0, gigabytesPerSecond: bandwidths.max() ?? 0)
  }

  /// Whether work was faster than every measurement of the peak, which then was too low.
  package var isPeakTooLow: Bool {
    let reached = reached
    return !peaks.contains { $0.gflops >= reached.gflops }
      || !peaks.contains { $0.gigabytesPerSecond >= reached.gigabytesPerSecond }
  }

  /// Measures the peak again while work was faster than all measurements so far, some times at most.
  package mutating func measureAgain(times: Int, _ measure: () throws -> DevicePeak) rethrows {
    for _ in 0..<times where isPeakTooLow { peaks.append(try measure()) }
  }
}

extension RecurrentProfile {
  /// Times the passes and measures the device's peak before, between and after them, so that what else
  /// the machine does falls on both; with launches on a backend that was made for profiling.
  ///
  /// Costs the passes and about half a second for each of three measurements of the peak, or of two
  /// around a single pass. `progress` is told what is being done.
  package func measure(
    on backend: OpenCLBackend, progress: (String) -> Void = { _ in }
  ) throws -> ProfileMeasurement {
    let pass = try RecurrentProfilePass(self, on: backend)
    return try ProfileMeasurement.measure(
      on: backend, iterations: iterations, warmup: warmup, flops: (flops, neededFlops),
      progress: progress
    ) { try pass.run() }
  }
}

extension ProfileMeasurement {
  /// Times a pass; `flops` are its nominal operations and those that it needs, nil for those that its
  /// launches count.
  static func measure(
    on backend: OpenCLBackend, iterations: Int, warmup: Int, flops: (all: Double, needed: Double)?,
    progress: (String) -> Void, pass: () throws -> Void
  ) throws -> ProfileMeasurement {
    let clock = ContinuousClock()
    func measurePeak() throws -> DevicePeak {
      progress("measuring the peak of \(backend.name)")
      return try backend.measurePeak()
    }
    var peaks = [try measurePeak()]
    var timed: [(seconds: Double, launches: Range<Int>)] = []
    for (half, count) in [(iterations + 1) / 2, iterations / 2].enumerated() where count > 0 {
      progress("timing \(count) of \(iterations) passes")
      // What a measurement of the peak left in the caches is no pass's.
      for _ in 0..<(half == 0 ? warmup : min(warmup, 1)) { try pass() }
      try backend.synchronize()
      for _ in 0..<count {
        let first = backend.launchCount
        let duration = try clock.measure {
          try pass()
          try backend.synchronize()
        }
        timed.append((duration / .seconds(1), first..<backend.launchCount))
      }
      peaks.append(try measurePeak())
    }
    let launches = try backend.launches
    backend.clearLaunches()
    let counted = timed.first.map { launches[$0.launches].reduce(0) { $0 + $1.flops } } ?? 0
    var measurement = ProfileMeasurement(
      passes: timed.map {
        TimedPass(seconds: $0.seconds, launches: Array(launches[$0.launches]))
      },
      peaks: peaks, flops: flops?.all ?? counted, neededFlops: flops?.needed ?? counted,
      cacheBytes: backend.device.globalCacheBytes)
    try measurement.measureAgain(times: 4, measurePeak)
    return measurement
  }
}
