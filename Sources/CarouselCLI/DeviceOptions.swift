import ArgumentParser
import Carousel
import Foundation

/// `--device`, `--kernels` and `--precision`: the one place that turns them into a backend.
struct DeviceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What computes: auto, gpu, cpu, reference, platform:device, or a part of a device's name.",
      discussion: "CAROUSEL_DEVICE stands in where the option is absent; else auto, which takes "
        + "a GPU before an accelerator before a CPU. reference is the CPU reference without "
        + "OpenCL."))
  var device: String?

  @Option(help: "The form of the kernels: auto, cpu or gpu; auto takes the device's own.")
  var kernels = KernelForm.automatic

  @Option(
    help: ArgumentHelp(
      "To what products may round their factors.",
      discussion:
        "tf32, bf16: matrix units make products of rounded factors faster, those of NVIDIA's GPUs from "
        + "compute capability 8.0 on; elsewhere products stay in Float32, but with --kernels gpu on a "
        + "CPU, which rounds as the units do. tf32x3 multiplies two parts of each factor, for errors "
        + "like Float32's. fp16: a CPU keeps the weights for its products in 16 bits, faster where "
        + "reading them is the limit (few sequences, many units) and the CPU converts them itself.")
  )
  var precision: ProductPrecision?

  /// What is asked for where neither option nor environment says more.
  static let standard = "auto"
  /// What the options are where they are absent, for the help.
  static let helpDefaults = [
    "device": standard, "precision": ProductPrecision.float32.rawValue,
  ]

  /// What was asked for, by option or by environment.
  var specification: String {
    if let device { return device }
    let environment = ProcessInfo.processInfo.environment["CAROUSEL_DEVICE"] ?? ""
    return environment.isEmpty ? Self.standard : environment
  }

  /// Whether the CPU reference was asked for.
  var isReference: Bool { specification == "reference" }

  /// The options that ask for the same backend again, each behind a space.
  var words: String {
    let device = device.map { " --device '\($0)'" } ?? ""
    return device + (kernels == .automatic ? "" : " --kernels \(kernels.rawValue)")
      + (precision.map { " --precision \($0.rawValue)" } ?? "")
  }

  /// Begins to load the drivers, where they will be used: files are read meanwhile.
  func loadDrivers() {
    if !isReference { Drivers.load() }
  }

  /// Makes the backend that was asked for, to be passed to a function generic over `Backend`.
  func makeBackend() throws -> any Backend {
    if isReference {
      noteFloat32("the reference")
      return ReferenceBackend()
    }
    return try makeOpenCLBackend()
  }

  /// Makes the backend of an OpenCL device, with another form of the kernels than was asked for where one is
  /// given; `profiling` records each launch.
  func makeOpenCLBackend(
    kernels: KernelForm? = nil, profiling: Bool = false
  ) throws -> OpenCLBackend {
    let permitted = precision ?? .float32
    if let problem = ProgramCache.standard.problem {
      Output.note("warning: compiled programs are not kept: \(problem)")
    }
    let backend = try OpenCLBackend(
      device: select(), kernels: kernels ?? self.kernels, precision: permitted, profiling: profiling
    )
    if backend.precision != permitted, !profiling, kernels == nil { noteFloat32(backend.name) }
    return backend
  }

  /// Says that what was permitted is of no use.
  private func noteFloat32(_ name: String) {
    guard let precision, precision != .float32 else { return }
    let reason =
      precision == .fp16
      ? "needs a CPU, and its form of the kernels"
      : "needs an NVIDIA GPU of compute capability 8.0 or newer; '--kernels gpu' on a CPU rounds as it does"
    Output.note("products stay in Float32 on \(name): --precision \(precision.rawValue) \(reason)")
  }

  /// The OpenCL device that was asked for.
  func select() throws -> Device {
    try Self.advise { () throws(OpenCLError) in try Device.select(specification) }
  }

  /// Says what to install where there is no OpenCL, or no device.
  static func advise<Result>(_ work: () throws(OpenCLError) -> Result) throws -> Result {
    do {
      return try work()
    } catch {
      let driver = "your device's driver, or for the CPU the package pocl-opencl-icd"
      let advice: String
      switch error.kind {
      case .noLibrary: advice = "install the package ocl-icd-libopencl1 and \(driver)"
      case .noPlatform: advice = "install \(driver)"
      case .noDevice: throw CarouselError(.noDevice, "\(error); or compute with --device reference")
      default: throw error
      }
      throw CarouselError(.noDevice, "\(error): \(advice), or compute with --device reference")
    }
  }
}

extension KernelForm: ExpressibleByArgument {}
extension ProductPrecision: ExpressibleByArgument {}
