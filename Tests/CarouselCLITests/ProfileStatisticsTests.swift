import Carousel
import Testing

/// The statistics of a profile as functions of numbers, without a device.
@Suite struct ProfileStatisticsTests {
  private func peak(_ gflops: Double, _ bandwidth: Double) -> ProfileReport.Peak {
    ProfileReport.Peak(gflops: gflops, gigabytesPerSecond: bandwidth)
  }

  private func launch(
    _ kernel: String, from started: UInt64, to ended: UInt64, flops: Double = 0, bytes: Double = 0
  ) -> LaunchRecord {
    LaunchRecord(
      kernel: kernel, flops: flops, bytes: bytes, queued: started, started: started, ended: ended)
  }

  private func pass(_ seconds: Double, _ kernels: (String, UInt64)...) -> TimedPass {
    var launches: [LaunchRecord] = []
    for (kernel, duration) in kernels {
      let start = launches.last?.ended ?? 0
      launches.append(launch(kernel, from: start, to: start + duration, flops: Double(duration)))
    }
    return TimedPass(seconds: seconds, launches: launches)
  }

  @Test func wallSumsUpOddAndEvenCounts() {
    let odd = ProfileReport.Wall(
      seconds: [3, 1, 2], flops: 6e9, neededFlops: 4e9, peak: peak(8, 1))
    #expect(odd.medianSeconds == 2 && odd.minSeconds == 1)
    #expect(odd.gflops == 3 && odd.neededGflops == 2)
    #expect(odd.fractionOfPeak == 0.25)
    let even = ProfileReport.Wall(
      seconds: [4, 1, 3, 2], flops: 5e9, neededFlops: 5e9, peak: peak(8, 1))
    #expect(even.medianSeconds == 2.5)
  }

  @Test func thePeakIsTheLargestOfItsMeasurements() {
    let peak = ProfileReport.Peak(measured: [(80, 20), (100, 15), (75, 18)])
    #expect(peak.gflops == 100 && peak.gigabytesPerSecond == 20)
    #expect(peak.measurements == 3 && !peak.isRaised)
    #expect(peak.gflopsSpread == 0.25 && peak.gigabytesPerSecondSpread == 0.25)
    let once = ProfileReport.Peak(measured: [(7, 3)])
    #expect(once.gflops == 7 && once.gflopsSpread == 0 && once.gigabytesPerSecondSpread == 0)
  }

  @Test func workThatIsFasterRaisesThePeak() {
    var peak = peak(100, 10)
    peak.raise(gflops: 99, gigabytesPerSecond: 10)
    #expect(peak.gflops == 100 && peak.gigabytesPerSecond == 10 && !peak.isRaised)
    peak.raise(gflops: 120, gigabytesPerSecond: 9)
    #expect(peak.gflops == 120 && peak.gigabytesPerSecond == 10 && peak.isRaised)
  }

  @Test(arguments: [
    (60.0, 1.0, ProfileReport.Bound.compute), (60, 9, .memory), (49, 4.9, .latency),
    (10, 1, .latency), (0, 0, .latency), (1, 6, .memory), (100, 10, .compute),
    // From the caches, so that memory does not hold them back.
    (60, 14, .compute), (1, 14, .latency),
  ])
  func aKernelIsBoundByARoofThatItIsNear(
    gflops: Double, bandwidth: Double, bound: ProfileReport.Bound
  ) {
    #expect(
      ProfileReport.Bound(
        gflops: gflops, gigabytesPerSecond: bandwidth, peak: peak(100, 10)) == bound)
  }

  @Test func kernelsAreThoseOfTheMedianPassAndTakeNoLongerThanTheWall() {
    let slow = pass(50e-9, ("a", 40), ("b", 9))
    for passes in [
      [slow, pass(20e-9, ("a", 8), ("b", 11)), pass(10e-9, ("a", 9))],
      [slow, pass(20e-9, ("a", 8), ("b", 11)), pass(30e-9, ("a", 29)), pass(10e-9, ("a", 9))],
    ] {
      let measurement = ProfileMeasurement(
        passes: passes, peaks: [DevicePeak(gflops: 9, gigabytesPerSecond: 9)], flops: 20,
        neededFlops: 19, cacheBytes: 0)
      let wall = ProfileReport.Wall(
        seconds: passes.map(\.seconds), flops: 20, neededFlops: 19, peak: peak(9, 9))
      let rows = ProfileReport.Kernel.rows(
        of: measurement.medianPass.launches, peak: peak(9, 9))
      #expect(rows.map(\.name) == ["b", "a"])
      #expect(rows.reduce(0) { $0 + $1.totalSeconds } <= wall.medianSeconds)
      #expect(abs(rows.reduce(0) { $0 + $1.share } - 1) < 1e-12)
    }
  }

  @Test func launchesOfAKernelAreAddedUp() {
    let launches = [
      launch("gemm", from: 0, to: 2000, flops: 100_000, bytes: 10_000),
      launch("fill", from: 2000, to: 3000, bytes: 4000),
      launch("gemm", from: 3000, to: 5000, flops: 100_000, bytes: 10_000),
    ]
    let rows = ProfileReport.Kernel.rows(of: launches, peak: peak(60, 20))
    #expect(rows.map(\.name) == ["gemm", "fill"] && rows.map(\.launches) == [2, 1])
    #expect(abs(rows[0].gflops - 50) < 1e-9 && abs(rows[0].gigabytesPerSecond - 5) < 1e-9)
    #expect(abs(rows[0].arithmeticIntensity - 10) < 1e-9 && abs(rows[0].share - 0.8) < 1e-12)
    #expect(rows.map(\.bound) == [.compute, .latency])
  }

  @Test func aPassFasterThanThePeakShowsThatThePeakIsTooLow() {
    func measurement(
      peaks: [(Double, Double)], needed: Double, bytes: Double = 0
    ) -> ProfileMeasurement {
      ProfileMeasurement(
        passes: [
          TimedPass(
            seconds: 1e-6, launches: [launch("a", from: 0, to: 1000, flops: 90_000, bytes: bytes)])
        ],
        peaks: peaks.map { DevicePeak(gflops: $0.0, gigabytesPerSecond: $0.1) }, flops: needed,
        neededFlops: needed, cacheBytes: 20_000)
    }
    #expect(!measurement(peaks: [(90, 10)], needed: 90_000).isPeakTooLow)
    #expect(measurement(peaks: [(89, 10)], needed: 10_000).isPeakTooLow)
    #expect(measurement(peaks: [(95, 10)], needed: 96_000).isPeakTooLow)
    #expect(!measurement(peaks: [(80, 10), (97, 3)], needed: 96_000).isPeakTooLow)
    // Bytes that the caches may hold say nothing about memory.
    #expect(!measurement(peaks: [(99, 10)], needed: 0, bytes: 20_000).isPeakTooLow)
    #expect(measurement(peaks: [(99, 10)], needed: 0, bytes: 20_001).isPeakTooLow)
  }

  @Test func thePeakIsMeasuredAgainUntilNothingIsFaster() {
    func peaks(_ later: [Double]) -> [Double] {
      var measurement = ProfileMeasurement(
        passes: [TimedPass(seconds: 1e-6, launches: [])],
        peaks: [DevicePeak(gflops: 50, gigabytesPerSecond: 1)], flops: 90_000,
        neededFlops: 90_000, cacheBytes: 0)
      var rest = later[...]
      measurement.measureAgain(times: 3) {
        DevicePeak(gflops: rest.removeFirst(), gigabytesPerSecond: 1)
      }
      return measurement.peaks.map(\.gflops)
    }
    #expect(peaks([70, 91, 99, 99]) == [50, 70, 91])
    #expect(peaks([70, 71, 72, 99]) == [50, 70, 71, 72])
  }

  @Test func whatIsDoubtfulIsSaid() {
    func notes(_ peak: ProfileReport.Peak, bandwidth: Double = 1) -> [String] {
      ProfileReport(
        device: "d", driver: "1", peak: peak, details: [],
        wall: .init(seconds: [1], flops: 1e9, neededFlops: 1e9, peak: peak),
        kernels: [
          .init(
            name: "k", launches: 1, totalSeconds: 1, share: 1, gflops: 1,
            gigabytesPerSecond: bandwidth, arithmeticIntensity: 1, bound: .latency)
        ]
      ).notes
    }
    #expect(notes(ProfileReport.Peak(measured: [(100, 10), (80, 8)])).isEmpty)
    let unsteady = notes(ProfileReport.Peak(measured: [(100, 10), (79, 10)]))
    #expect(unsteady.count == 1 && unsteady[0].contains("differ by 21%"))
    var raised = peak(10, 10)
    raised.raise(gflops: 11, gigabytesPerSecond: 0)
    #expect(notes(raised).count == 1 && notes(raised)[0].contains("taken as the peak"))
    #expect(notes(peak(10, 10), bandwidth: 11).first?.contains("caches") == true)
  }

  @Test func aChoiceWinsByMoreThanTheNoiseOfItsTurns() {
    let rules = [1.0, 1.02, 0.98, 1.5, 1.01, 0.99, 1, 1.03, 0.97]
    let faster = TuningVerdict(challenger: rules.map { 0.8 * $0 }, rules: rules)
    #expect(abs(faster.gain - 0.2) < 1e-12 && faster.noise < 1e-12 && faster.wins)
    let same = TuningVerdict(challenger: rules, rules: rules)
    #expect(same.gain == 0 && !same.wins)
    let slower = TuningVerdict(challenger: rules.map { 1.1 * $0 }, rules: rules)
    #expect(slower.gain < 0 && !slower.wins)
    // 4% faster by the median, but half of the turns lie 20% apart.
    let noisy = TuningVerdict(
      challenger: [0.8, 0.85, 0.9, 0.95, 0.96, 1, 1.1, 1.2, 1.3],
      rules: [Double](repeating: 1, count: 9))
    #expect(abs(noisy.gain - 0.04) < 1e-12 && abs(noisy.noise - 0.2) < 1e-12 && !noisy.wins)
    #expect(!TuningVerdict(challenger: [.nan], rules: [1]).wins)
  }
}
