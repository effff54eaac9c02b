import CarouselModel
import Dispatch
import OpenCLDriver

/// What a device reaches at most, measured on it.
public struct DevicePeak: Codable, Sendable {
  /// Float32 fused multiply-adds from registers alone, two operations each, in 10⁹ per second.
  public let gflops: Double
  /// Bytes read and written by a copy far larger than the caches, in 10⁹ per second.
  public let gigabytesPerSecond: Double
}

// The twin of peak.cl.
extension OpenCLBackend {
  /// Measures the device's peak: the best of several runs of each kernel, about half a second in all.
  public func measurePeak() throws -> DevicePeak {
    DevicePeak(gflops: try measureGflops(), gigabytesPerSecond: try measureBandwidth())
  }

  private static let files = ["vector.cl", "peak.cl"]
  /// CHAINS of `peak.cl`.
  private static let chains = 12
  private var isWide: Bool { launcher.parameters.width > 1 }
  private var computeUnits: Int { device.computeUnits }

  private func measureGflops() throws -> Double {
    let width = launcher.parameters.width
    let group = isWide ? 1 : 256
    let items = computeUnits * (isWide ? 1 : 8 * group)
    let result = try launcher.scratch(count: items * width)
    let kernel = try launcher.kernel("peak_multiply_add", in: Self.files)
    var iterations = 1000
    let perIteration = Double(2 * Self.chains * width * items)
    return try best(atLeast: 0.01, iterations: &iterations) { iterations in
      try launcher.launch(
        kernel, global: [items], local: [group], flops: perIteration * Double(iterations),
        bytes: Double(4 * items * width),
        ["result": .buffer(result), "iterations": .int(iterations), "x": .float(1)])
      return perIteration * Double(iterations)
    } / 1e9
  }

  private func measureBandwidth() throws -> Double {
    let width = launcher.parameters.width
    let group = isWide ? 1 : 256
    let items = isWide ? computeUnits * 4 : computeUnits * 8 * group
    // Two arrays of 64 MiB, or an eighth of the memory where that is less.
    let floats = min(1 << 24, device.globalMemoryBytes / 32)
    let vectors = max(1, floats / (items * width))
    let x = try makeBuffer(count: items * width * vectors)
    let y = try makeBuffer(count: items * width * vectors)
    let kernel = try launcher.kernel("peak_copy", in: Self.files)
    let bytes = Double(8 * items * width * vectors)
    var launches = 1
    return try best(atLeast: 0.02, iterations: &launches) { launches in
      for _ in 0..<launches {
        try launcher.launch(
          kernel, global: [items], local: [group], bytes: bytes,
          ["x": .buffer(x), "y": .buffer(y), "vectors": .int(vectors)])
      }
      return bytes * Double(launches)
    } / 1e9
  }

  /// The best rate of ten runs of `work`, which returns how much it did, each at least `seconds` long.
  private func best(
    atLeast seconds: Double, iterations: inout Int, work: (Int) throws -> Double
  ) throws -> Double {
    var rate = 0.0
    var runs = 0
    while runs < 10 {
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
      }
    }
    return rate
  }
}
