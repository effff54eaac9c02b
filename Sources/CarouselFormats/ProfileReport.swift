import CarouselModel

/// What a profile found: how fast a piece of work ran on a device, kernel by kernel, against what
/// the device can do.
///
/// Encoded, it is the document that `profile --json` prints; `html` is a page for people.
package struct ProfileReport: Sendable {
  /// What a device was measured to reach: the largest of several measurements.
  package struct Peak: Sendable, Encodable {
    /// Floating-point operations in 10⁹ per second, a fused multiply-add counted as two.
    package var gflops: Double
    /// Bytes of memory read and written in 10⁹ per second.
    package var gigabytesPerSecond: Double
    /// How often it was measured.
    package var measurements = 1
    /// How far the measurements lie apart, from the smallest to the largest, as a part of the largest.
    package var gflopsSpread = 0.0, gigabytesPerSecondSpread = 0.0
    /// Whether work was faster than every measurement, and its rate is the peak.
    package internal(set) var isRaised = false

    /// Makes a peak.
    package init(gflops: Double, gigabytesPerSecond: Double) {
      self.gflops = gflops
      self.gigabytesPerSecond = gigabytesPerSecond
    }
  }

  /// The whole work as the host's clock saw it.
  package struct Wall: Sendable, Encodable {
    /// The median of all passes, in seconds.
    package var medianSeconds: Double
    /// The fastest pass, in seconds.
    package var minSeconds: Double
    /// The nominal operations of a pass, 2·T·N·G·H·(C+H) forward, by the median, in 10⁹ per second.
    package var gflops: Double
    /// The operations that the layers need, by the median, in 10⁹ per second: fewer with a diagonal
    /// recurrence, blocks or a projection, and without the product of a first state of zeros.
    package var neededGflops: Double
    /// `neededGflops` against the device's peak, 0 to 1.
    package var fractionOfPeak: Double

    /// Makes the times of a work.
    package init(
      medianSeconds: Double, minSeconds: Double, gflops: Double, neededGflops: Double,
      fractionOfPeak: Double
    ) {
      self.medianSeconds = medianSeconds
      self.minSeconds = minSeconds
      self.gflops = gflops
      self.neededGflops = neededGflops
      self.fractionOfPeak = fractionOfPeak
    }
  }

  /// What holds a kernel back.
  package enum Bound: String, Sendable, Encodable, CaseIterable {
    /// The rate of floating-point operations.
    case compute
    /// The rate at which memory moves bytes.
    case memory
    /// Neither: launching, waiting for each other, or results that wait for others.
    case latency
  }

  /// All launches of one kernel in one pass together.
  package struct Kernel: Sendable, Encodable {
    /// The kernel's name in its source.
    package var name: String
    /// How often a pass launches it.
    package var launches: Int
    /// Its time on the device in a pass, all launches together, in seconds.
    package var totalSeconds: Double
    /// Its part of the time of all kernels of a pass, 0 to 1.
    package var share: Double
    /// Its floating-point operations in 10⁹ per second.
    package var gflops: Double
    /// The bytes that it has to read and write, in 10⁹ per second; above the peak where the caches have
    /// them.
    package var gigabytesPerSecond: Double
    /// Its floating-point operations per byte.
    package var arithmeticIntensity: Double
    /// What holds it back.
    package var bound: Bound

    /// Describes a kernel's work.
    package init(
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

  /// All launches of one operator of a graph in one pass together.
  package struct Operator: Sendable, Encodable {
    /// What it computes, and the name of its node.
    package var name: String, node: String
    /// How often a pass launches kernels for it.
    package var launches: Int
    /// Their time on the device in a pass, in seconds.
    package var totalSeconds: Double
    /// Its part of the time of all kernels of a pass, 0 to 1.
    package var share: Double

    /// Describes an operator's work.
    package init(name: String, node: String, launches: Int, totalSeconds: Double, share: Double) {
      self.name = name
      self.node = node
      self.launches = launches
      self.totalSeconds = totalSeconds
      self.share = share
    }
  }

  /// One way to compute the work, of those that were tried.
  package struct Choice: Sendable, Encodable {
    /// What is done how.
    package var words: String
    /// The median of its passes, in seconds.
    package var medianSeconds: Double

    /// Describes a choice.
    package init(words: String, medianSeconds: Double) {
      self.words = words
      self.medianSeconds = medianSeconds
    }
  }

  /// The device's name.
  package var device: String
  /// The version of the device's driver.
  package var driver: String
  /// What the device was measured to reach.
  package var peak: Peak
  /// What was computed, in the order to show it: sizes, mode, iterations.
  package var details: [(key: String, value: JSONScalar)]
  /// The ways to compute the work that were tried, the fastest first; nil where none was.
  package var tuning: [Choice]?
  /// The whole work by the host's clock.
  package var wall: Wall
  /// The kernels of the median pass in the order to show them: the longest first.
  ///
  /// Together they take no longer than the wall.
  package var kernels: [Kernel]
  /// The operators of a graph in the median pass, the longest first; nil for other work.
  package var operators: [Operator]?

  /// Makes a report; no two details share a key.
  package init(
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
  package func writeHTML(to path: String) throws(CarouselError) {
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
    case operators
    case notes
  }

  /// Encodes the document of `profile --json`; the details become its object `case`.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(device, forKey: .device)
    try container.encode(driver, forKey: .driver)
    try container.encode(peak, forKey: .peak)
    let members = Dictionary(uniqueKeysWithValues: details.map { ($0.key, $0.value) })
    try container.encode(members, forKey: .details)
    try container.encodeIfPresent(tuning, forKey: .tuning)
    try container.encode(wall, forKey: .wall)
    try container.encode(kernels, forKey: .kernels)
    try container.encodeIfPresent(operators, forKey: .operators)
    try container.encode(notes, forKey: .notes)
  }
}
