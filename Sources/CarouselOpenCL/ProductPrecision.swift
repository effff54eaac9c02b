import OpenCLDriver

/// To what the factors of matrix products may be rounded, in return for speed.
///
/// It is a permission: products that it would not make faster stay in Float32. TF32 and BF16 are for matrix
/// units, on GPUs that have them; on CPUs the GPU's form of the kernels computes what the units would, so that
/// the errors can be seen anywhere. FP16 is for the CPU's form, where reading the weights is the limit. Sums
/// are Float32 in every case, and so are the weights that training changes.
public enum ProductPrecision: String, CaseIterable, Sendable {
  /// Float32, one rounding to each multiply-add.
  case float32
  /// TF32: 10 bits of the fraction, the range of Float32.
  case tf32
  /// BF16: 7 bits of the fraction, the range of Float32.
  case bf16
  /// Three products of two parts in TF32: errors of the size of Float32's, at less than its time.
  case tf32x3
  /// FP16 for the weights alone: 10 bits of the fraction, magnitudes of 6.1e-5 to 65,504 (smaller ones lose
  /// bits, larger ones become infinite). They are kept so for the products, in half the bytes.
  case fp16

  /// PRECISION of `gemm/matrix_units.cl`.
  var option: String {
    let number: Int
    switch self {
    case .float32, .fp16: number = 0
    case .tf32: number = 1
    case .bf16: number = 2
    case .tf32x3: number = 3
    }
    return "-DPRECISION=\(number)"
  }

  /// HALF_WEIGHTS of `gemm/panel.cl`, for programs whose panels are weights.
  var panelOptions: [String] { self == .fp16 ? ["-DHALF_WEIGHTS=1"] : [] }

  /// The bytes of a weight in a panel.
  var packedBytes: Int { self == .fp16 ? 2 : 4 }

  /// What of the permission is of use: Float32 where none.
  func usable(on device: Device, form: KernelForm) -> ProductPrecision {
    let isUsable = self == .fp16 ? form == .cpu : form == .gpu && device.roundsFactors
    return isUsable ? self : .float32
  }
}

extension Device {
  /// Whether `gemm/matrix_units.cl` finds matrix units with TF32 and BF16: NVIDIA's from compute capability 8.0 on.
  public var hasMatrixUnits: Bool { (computeCapability ?? 0) >= 80 }

  /// Whether the GPU's form of the kernels rounds the factors of products: for matrix units, or where it
  /// runs only to be looked at, on a CPU or a simulator, which compute what the units would.
  public var roundsFactors: Bool {
    hasMatrixUnits || type == .cpu || platformName == "Oclgrind"
  }
}
