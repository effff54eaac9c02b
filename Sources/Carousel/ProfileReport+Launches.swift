import CarouselFormats
import CarouselOpenCL

/// The launches of one kernel in one pass, added up.
struct KernelSums {
  let name: String
  let count: Int
  let seconds: Double, flops: Double, bytes: Double

  var gflops: Double { rate(flops) }
  var gigabytesPerSecond: Double { rate(bytes) }

  private func rate(_ amount: Double) -> Double {
    seconds > 0 ? amount / seconds * 1e-9 : 0
  }

  /// Every kernel among `launches`, the longest first.
  static func all(of launches: [LaunchRecord]) -> [KernelSums] {
    Dictionary(grouping: launches, by: \.kernel).map { name, launches in
      KernelSums(
        name: name, count: launches.count, seconds: launches.reduce(0) { $0 + $1.seconds },
        flops: launches.reduce(0) { $0 + $1.flops }, bytes: launches.reduce(0) { $0 + $1.bytes })
    }.sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }
  }
}

extension ProfileReport {
  /// Sums up a measurement: the wall over all passes, the kernels of the median pass.
  package init(
    device: Device, details: [(key: String, value: JSONScalar)], tuning: [Choice]? = nil,
    measurement: ProfileMeasurement
  ) {
    var peak = Peak(
      measured: measurement.peaks.map { ($0.gflops, $0.gigabytesPerSecond) })
    let reached = measurement.reached
    peak.raise(gflops: reached.gflops, gigabytesPerSecond: reached.gigabytesPerSecond)
    let wall = Wall(
      seconds: measurement.passes.map(\.seconds), flops: measurement.flops,
      neededFlops: measurement.neededFlops, peak: peak)
    self.init(
      device: device.name, driver: device.driver, peak: peak, details: details, tuning: tuning,
      wall: wall, kernels: Kernel.rows(of: measurement.medianPass.launches, peak: peak))
  }
}

extension ProfileReport.Kernel {
  /// Sums up the launches of a pass, a row for each kernel, the longest first.
  package static func rows(of launches: [LaunchRecord], peak: ProfileReport.Peak) -> [Self] {
    let sums = KernelSums.all(of: launches)
    let total = sums.reduce(0) { $0 + $1.seconds }
    return sums.map {
      Self(
        name: $0.name, launches: $0.count, totalSeconds: $0.seconds,
        share: total > 0 ? $0.seconds / total : 0, gflops: $0.gflops,
        gigabytesPerSecond: $0.gigabytesPerSecond,
        arithmeticIntensity: $0.bytes > 0 ? $0.flops / $0.bytes : 0,
        bound: ProfileReport.Bound(
          gflops: $0.gflops, gigabytesPerSecond: $0.gigabytesPerSecond, peak: peak))
    }
  }
}

extension LaunchRecord {
  /// The time on the device.
  var seconds: Double { ended > started ? Double(ended - started) * 1e-9 : 0 }
}

extension ChromeTrace {
  /// The launches of a queue on a time line that begins with the first of them.
  package init(device: String, launches: [LaunchRecord]) {
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
