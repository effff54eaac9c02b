import CarouselModel

/// What a profile found: how fast a piece of work ran on a device, kernel by kernel, against what
/// the device can do.
///
/// Encoded, it is the document that `profile --json` prints; `html` is a page for people.
public struct ProfileReport: Sendable {
  /// What a device was measured to reach.
  public struct Peak: Sendable, Encodable {
    /// Floating-point operations in 10⁹ per second, a fused multiply-add counted as two.
    public var gflops: Double
    /// Bytes read and written in 10⁹ per second.
    public var gigabytesPerSecond: Double

    /// Makes a peak.
    public init(gflops: Double, gigabytesPerSecond: Double) {
      self.gflops = gflops
      self.gigabytesPerSecond = gigabytesPerSecond
    }
  }

  /// The whole work as the host's clock saw it.
  public struct Wall: Sendable, Encodable {
    /// The median of all iterations, in seconds.
    public var medianSeconds: Double
    /// The fastest iteration, in seconds.
    public var minSeconds: Double
    /// The operations counted for the work, by the median, in 10⁹ per second.
    public var gflops: Double
    /// `gflops` against the device's peak, 0 to 1.
    public var fractionOfPeak: Double

    /// Makes the times of a work.
    public init(
      medianSeconds: Double, minSeconds: Double, gflops: Double, fractionOfPeak: Double
    ) {
      self.medianSeconds = medianSeconds
      self.minSeconds = minSeconds
      self.gflops = gflops
      self.fractionOfPeak = fractionOfPeak
    }
  }

  /// What holds a kernel back.
  public enum Bound: String, Sendable, Encodable, CaseIterable {
    /// The rate of floating-point operations.
    case compute
    /// The rate of bytes.
    case bandwidth
    /// Neither: the launch, or waiting.
    case latency
  }

  /// All launches of one kernel together.
  public struct Kernel: Sendable, Encodable {
    /// The kernel's name in its source.
    public var name: String
    /// How often it was launched.
    public var launches: Int
    /// Its time on the device over all launches, in seconds.
    public var totalSeconds: Double
    /// Its part of the time of all kernels, 0 to 1.
    public var share: Double
    /// Its floating-point operations in 10⁹ per second.
    public var gflops: Double
    /// The bytes that it has to read and write, in 10⁹ per second.
    public var gigabytesPerSecond: Double
    /// Its floating-point operations per byte.
    public var arithmeticIntensity: Double
    /// What holds it back.
    public var bound: Bound

    /// Describes a kernel's work.
    public init(
      name: String, launches: Int, totalSeconds: Double, share: Double, gflops: Double,
      gigabytesPerSecond: Double, arithmeticIntensity: Double, bound: Bound
    ) {
      self.name = name
      self.launches = launches
      self.totalSeconds = totalSeconds
      self.share = share
      self.gflops = gflops
      self.gigabytesPerSecond = gigabytesPerSecond
      self.arithmeticIntensity = arithmeticIntensity
      self.bound = bound
    }
  }

  /// One way to compute the work, of those that were tried.
  public struct Choice: Sendable, Encodable {
    /// What is done how.
    public var words: String
    /// The median of its iterations, in seconds.
    public var medianSeconds: Double

    /// Describes a choice.
    public init(words: String, medianSeconds: Double) {
      self.words = words
      self.medianSeconds = medianSeconds
    }
  }

  /// The device's name.
  public var device: String
  /// The version of the device's driver.
  public var driver: String
  /// What the device was measured to reach.
  public var peak: Peak
  /// What was computed, in the order to show it: sizes, mode, iterations.
  public var details: [(key: String, value: JSONScalar)]
  /// The ways to compute the work that were tried, the fastest first; nil where none was.
  public var tuning: [Choice]?
  /// The whole work by the host's clock.
  public var wall: Wall
  /// The kernels in the order to show them: the longest first.
  public var kernels: [Kernel]

  /// Makes a report; no two details share a key.
  public init(
    device: String, driver: String, peak: Peak, details: [(key: String, value: JSONScalar)],
    tuning: [Choice]? = nil, wall: Wall, kernels: [Kernel]
  ) {
    self.device = device
    self.driver = driver
    self.peak = peak
    self.details = details
    self.tuning = tuning
    self.wall = wall
    self.kernels = kernels
  }

  /// Writes `html`; nothing half-written is left under the name.
  ///
  /// Throws `writeFailed`.
  public func writeHTML(to path: String) throws(CarouselError) {
    try AtomicFile.write(html, to: path)
  }
}

extension ProfileReport: Encodable {
  private enum CodingKeys: String, CodingKey {
    case device
    case driver
    case peak
    case details = "case"
    case tuning
    case wall
    case kernels
  }

  /// Encodes the document of `profile --json`; the details become its object `case`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(device, forKey: .device)
    try container.encode(driver, forKey: .driver)
    try container.encode(peak, forKey: .peak)
    let members = Dictionary(uniqueKeysWithValues: details.map { ($0.key, $0.value) })
    try container.encode(members, forKey: .details)
    try container.encodeIfPresent(tuning, forKey: .tuning)
    try container.encode(wall, forKey: .wall)
    try container.encode(kernels, forKey: .kernels)
  }
}
