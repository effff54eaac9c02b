import OpenCLDriver

/// To what the factors of matrix products may be rounded, in return for the speed of matrix units.
///
/// It is a permission: products that matrix units would not make faster, and all products on GPUs without
/// them, stay in Float32. On CPUs the GPU's form of the kernels computes what the units would, so that the
/// errors can be seen anywhere. Sums are Float32 in every case.
public enum ProductPrecision: String, CaseIterable, Sendable {
  /// Float32, one rounding to each multiply-add.
  case float32
  /// TF32: 10 bits of the fraction, the range of Float32.
  case tf32
  /// BF16: 7 bits of the fraction, the range of Float32.
  case bf16
  /// Three products of two parts in TF32: errors of the size of Float32's, at less than its time.
  case tf32x3

  /// PRECISION of `matrix.cl`.
  var option: String {
    let number: Int
    switch self {
    case .float32: number = 0
    case .tf32: number = 1
    case .bf16: number = 2
    case .tf32x3: number = 3
    }
    return "-DPRECISION=\(number)"
  }

  /// The largest relative error of a factor: half of what its last bit is worth.
  public var unitRoundoff: Double {
    switch self {
    case .float32, .tf32x3: 0x1p-24
    case .tf32: 0x1p-11
    case .bf16: 0x1p-8
    }
  }
}

extension Device {
  /// Whether `matrix.cl` finds matrix units with TF32 and BF16: NVIDIA's from compute capability 8.0 on.
  public var hasMatrixUnits: Bool { (computeCapability ?? 0) >= 80 }

  /// Whether the GPU's form of the kernels rounds the factors of products: for matrix units, or where it
  /// runs only to be looked at, on a CPU or a simulator, which compute what the units would.
  public var roundsFactors: Bool {
    hasMatrixUnits || type == .cpu || platformName == "Oclgrind"
  }
}
