import OpenCLDriver

/// What a `LayerPlan` has to know of a device and of the form of its kernels: numbers, no handle.
struct PlanDevice: Hashable, Sendable {
  /// The form of the kernels, `cpu` or `gpu`.
  var form: KernelForm
  /// What the device is, whatever the form of its kernels.
  var isCPU: Bool, isGPU: Bool
  /// Cores of a CPU, multiprocessors of a GPU.
  var computeUnits: Int
  /// WIDTH, the floats of a vector; 1 in the GPU's form.
  var vectorWidth: Int
  /// The bytes of the last cache; 0 where it is not known.
  var cacheBytes: Int
  /// To what the factors of products are rounded.
  var precision: ProductPrecision
  /// Whether work-groups see within a launch what other work-groups wrote.
  var groupsCanWait: Bool
  /// The work-groups that run at the same time, the most work-items of each, and its bytes of local memory.
  var groups: Int, groupItems: Int, groupLocalBytes: Int
  /// The compute capability of an NVIDIA GPU times ten.
  var computeCapability: Int?
}

extension PlanDevice {
  /// The numbers of `device` with one form of the kernels.
  init(_ device: Device, form: KernelForm, precision: ProductPrecision) {
    self.form = form
    isCPU = device.type == .cpu
    isGPU = device.type == .gpu
    computeUnits = device.computeUnits
    vectorWidth = KernelParameters(form, device: device).width
    cacheBytes = device.globalCacheBytes
    self.precision = precision
    groupsCanWait = device.groupsCanWait
    groups = device.computeUnits
    groupItems = device.maxWorkGroupSize
    groupLocalBytes = device.kernelLocalBytes
    computeCapability = device.computeCapability
  }

  /// Whether as many work-groups as there are cores run at the same time, so that they can share the hidden
  /// units of a step and wait for each other.
  ///
  /// A wrong yes costs time, not results: groups that wait too long do the others' work themselves.
  var coresRunTogether: Bool { isCPU && groupsCanWait }
}

extension Device {
  /// Whether its work-groups see within a launch what other work-groups wrote, as `recurrent/grid.cl` needs it.
  ///
  /// Oclgrind runs one after the other, and reports what they tell each other as a race. Of GPUs only NVIDIA's
  /// have the fences that `recurrent/grid.cl` uses.
  fileprivate var groupsCanWait: Bool {
    type == .cpu ? platformName != "Oclgrind" : vendor.contains("NVIDIA")
  }

  /// The local memory that a kernel can declare.
  ///
  /// NVIDIA's driver reports 48 KiB and takes what the architecture has: seen on an H200 with driver 580.
  /// Whoever asks for more than is reported has to be ready for a refusal.
  fileprivate var kernelLocalBytes: Int {
    let kilobytes: Int
    switch computeCapability {
    case 70, 72: kilobytes = 96
    case 75: kilobytes = 64
    case 80, 87: kilobytes = 163
    case 86, 89, 120: kilobytes = 99
    case 90, 100, 103: kilobytes = 227
    default: return min(localMemoryBytes, 64 << 10) - 1024
    }
    return (kilobytes - 4) << 10
  }
}
