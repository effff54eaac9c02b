import CarouselFormats
import CarouselOpenCL

extension ProfileReport.Wall {
  /// Sums up the seconds of at least one pass of `flops` operations each.
  public init(seconds: [Double], flops: Double, peak: ProfileReport.Peak) {
    let sorted = seconds.sorted()
    let middle = sorted.count / 2
    let median =
      sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    let gflops = flops / median / 1e9
    self.init(
      medianSeconds: median, minSeconds: sorted[0], gflops: gflops,
      fractionOfPeak: gflops / peak.gflops)
  }
}

extension ProfileReport.Kernel {
  /// Sums up launches, a row for each kernel, the longest first.
  public static func rows(of launches: [LaunchRecord], peak: ProfileReport.Peak) -> [Self] {
    let total = launches.reduce(0) { $0 + $1.seconds }
    return Dictionary(grouping: launches, by: \.kernel).map { name, launches in
      let seconds = launches.reduce(0) { $0 + $1.seconds }
      let flops = launches.reduce(0) { $0 + $1.flops }
      let bytes = launches.reduce(0) { $0 + $1.bytes }
      return Self(
        name: name, launches: launches.count, totalSeconds: seconds,
        share: total > 0 ? seconds / total : 0, gflops: rate(flops, seconds),
        gigabytesPerSecond: rate(bytes, seconds),
        arithmeticIntensity: bytes > 0 ? flops / bytes : 0,
        bound: bound(seconds: seconds, flops: flops, bytes: bytes, peak: peak))
    }.sorted { ($1.totalSeconds, $0.name) < ($0.totalSeconds, $1.name) }
  }

  private static func rate(_ amount: Double, _ seconds: Double) -> Double {
    seconds > 0 ? amount / seconds / 1e9 : 0
  }

  /// The roof that a kernel is nearer to, or latency where it reaches a quarter of neither.
  public static func bound(
    seconds: Double, flops: Double, bytes: Double, peak: ProfileReport.Peak
  ) -> ProfileReport.Bound {
    let compute = flops / (peak.gflops * 1e9)
    let bandwidth = bytes / (peak.gigabytesPerSecond * 1e9)
    guard max(compute, bandwidth) >= seconds / 4 else { return .latency }
    return compute >= bandwidth ? .compute : .bandwidth
  }
}

extension LaunchRecord {
  /// The time on the device.
  var seconds: Double { Double(ended - started) * 1e-9 }
}

extension ChromeTrace {
  /// The launches of a queue on a time line that begins with the first of them.
  public init(device: String, launches: [LaunchRecord]) {
    let origin = launches.map(\.started).min() ?? 0
    self.init(
      processName: device, threadNames: ["kernels"],
      events: launches.map { launch in
        Event(
          launch.kernel, category: "kernel",
          startMicroseconds: Double(launch.started - origin) * 1e-3,
          durationMicroseconds: launch.seconds * 1e6,
          arguments: [
            "flops": .number(launch.flops), "bytes": .number(launch.bytes),
            "waitMicroseconds": .number(
              (Double(launch.started) - Double(launch.queued)) * 1e-3),
          ])
      })
  }
}
