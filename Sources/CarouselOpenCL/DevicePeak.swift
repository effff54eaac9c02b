import CarouselModel
import Dispatch
import OpenCLDriver

/// What a device reaches at most, measured on it.
public struct DevicePeak: Codable, Sendable {
  /// Float32 fused multiply-adds from registers alone, two operations each, in 10⁹ per second.
  public let gflops: Double
  /// Bytes read and written by a copy far larger than the caches, in 10⁹ per second.
  public let gigabytesPerSecond: Double

  /// States what was measured.
  public init(gflops: Double, gigabytesPerSecond: Double) {
    self.gflops = gflops
    self.gigabytesPerSecond = gigabytesPerSecond
  }
}

// The twin of peak.cl.
extension OpenCLBackend {
  /// Measures the device's peak: the best of many short runs of each kernel, for about half a second.
  ///
  /// On a busy machine a short run may find all cores idle, which a long one never does.
  ///
  /// The kernels have the device's own form, whatever the backend computes with, and are not among its
  /// `launches`.
  public func measurePeak() throws -> DevicePeak {
    let launcher = Launcher(
      queue: launcher.queue, form: KernelForm.automatic.resolved(for: device), precision: .float32)
    return DevicePeak(
      gflops: try measureGflops(launcher), gigabytesPerSecond: try measureBandwidth(launcher))
  }

  private static let files = ["ops/peak.cl"]
  /// CHAINS of `ops/peak.cl`.
  private static let chains = 12
  private var computeUnits: Int { device.computeUnits }

  private func measureGflops(_ launcher: Launcher) throws -> Double {
    let width = launcher.parameters.width
    let isWide = width > 1
    let group = isWide ? 1 : 256
    let items = computeUnits * (isWide ? 1 : 8 * group)
    let result = try launcher.scratch(count: items * width)
    let kernel = try launcher.kernel("peak_multiply_add", in: Self.files)
    var iterations = 1000
    let perIteration = Double(2 * Self.chains * width * items)
    return try best(atLeast: 0.002, iterations: &iterations) { iterations in
      try launcher.launch(
        kernel, global: [items], local: [group], flops: perIteration * Double(iterations),
        bytes: Double(4 * items * width),
        ["result": .buffer(result), "iterations": .int(iterations), "x": .float(1)])
      return perIteration * Double(iterations)
    } / 1e9
  }

  private func measureBandwidth(_ launcher: Launcher) throws -> Double {
    let width = launcher.parameters.width
    let isWide = width > 1
    let group = isWide ? 1 : 256
    let items = isWide ? computeUnits * 4 : computeUnits * 8 * group
    // Two arrays of 64 MiB, or an eighth of the memory where that is less.
    let floats = min(1 << 24, device.globalMemoryBytes / 32)
    let vectors = max(1, floats / (items * width))
    let (x, y) = (
      try launcher.scratch(count: items * width * vectors),
      try launcher.scratch(count: items * width * vectors)
    )
    for buffer in [x, y] { try launcher.queue.fill(buffer, with: Float(0)) }
    let kernel = try launcher.kernel("peak_copy", in: Self.files)
    let bytes = Double(8 * items * width * vectors)
    var launches = 1
    return try best(atLeast: 0.005, iterations: &launches) { launches in
      for _ in 0..<launches {
        try launcher.launch(
          kernel, global: [items], local: [group], bytes: bytes,
          ["x": .buffer(x), "y": .buffer(y), "vectors": .int(vectors)])
      }
      return bytes * Double(launches)
    } / 1e9
  }

  /// The best rate of ten runs or more of `work` that take a fifth of a second together; `work` returns how
  /// much it did, and each run is at least `seconds` long.
  private func best(
    atLeast seconds: Double, iterations: inout Int, work: (Int) throws -> Double
  ) throws -> Double {
    var rate = 0.0
    var (runs, total) = (0, 0.0)
    while runs < 10 || total < 0.2 {
      try synchronize()
      let start = DispatchTime.now().uptimeNanoseconds
      let amount = try work(iterations)
      try synchronize()
      let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
      if elapsed < seconds {
        iterations *= 2
      } else {
        rate = max(rate, amount / elapsed)
        runs += 1
        total += elapsed
      }
    }
    return rate
  }
}
