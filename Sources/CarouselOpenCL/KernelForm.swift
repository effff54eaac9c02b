import OpenCLDriver

/// Which form of the kernels is used: both are correct on every device, each is fast on its own kind.
public enum KernelForm: String, CaseIterable, Sendable {
  /// What suits the device's type.
  case automatic = "auto"
  /// For few fast cores: explicit vectors, packed panels, one work-item to a group, a whole sequence
  /// in one launch.
  case cpu
  /// For many cores: tiles in local memory, a launch per step.
  case gpu

  func resolved(for device: Device) -> KernelForm {
    guard self == .automatic else { return self }
    return device.type == .cpu ? .cpu : .gpu
  }
}

/// The parameters that all kernels of one form share.
struct KernelParameters {
  /// WIDTH, the floats of a vector.
  let width: Int
  /// LANES, the work-items that share a row.
  let lanes: Int
  /// ELEMENTS, the elements of a work-item in elementwise kernels.
  let elements: Int

  /// The compute units that a GPU's sums are divided for, whatever the device has: those of an H200.
  ///
  /// The ranges of a sum, and so its bits, are then a function of sizes alone.
  static let plannedUnits = 132

  init(_ form: KernelForm, device: Device) {
    if form == .cpu {
      width = device.nativeVectorWidthFloat >= 16 ? 16 : device.nativeVectorWidthFloat >= 8 ? 8 : 4
      lanes = 1
      elements = 4096
    } else {
      width = 1
      lanes = 64
      elements = 4
    }
  }

  var options: [String] {
    ["-DWIDTH=\(width)", "-DLANES=\(lanes)", "-DELEMENTS=\(elements)"]
  }
}
