import COpenCL

/// An OpenCL device and what it says of itself.
///
/// `@unchecked Sendable`: the handle of a root device is not reference-counted (OpenCL 1.2, 4.3:
/// `clRetainDevice` does nothing for it) and lives as long as the process; all else is constant.
public struct Device: @unchecked Sendable {
  /// What kind of processor a device is.
  public enum Kind: String, Sendable {
    case cpu
    case gpu
    case accelerator
    case other
  }

  let handle: cl_device_id
  let platformHandle: cl_platform_id
  let isUsable: Bool

  /// Where it is found: the numbers of its platform and of it on the platform, such as "0:0".
  public let index: String
  /// Its name.
  public let name: String
  /// Its maker.
  public let vendor: String
  /// What kind of processor it is.
  public let type: Kind
  /// The OpenCL version that it offers, such as "OpenCL 3.0 CUDA".
  public let version: String
  /// The version of its driver.
  public let driver: String
  /// Its compute units: cores of a CPU, multiprocessors of a GPU.
  public let computeUnits: Int
  /// Its global memory in bytes.
  public let globalMemoryBytes: Int
  /// The cache of its global memory, in bytes: a CPU's last; 0 where it tells none.
  package let globalCacheBytes: Int
  /// Its local memory for one work-group, in bytes.
  public let localMemoryBytes: Int
  /// Whether local memory is memory of its own, and not a part of global memory.
  package let localMemoryIsDedicated: Bool
  /// The bytes that one buffer may have.
  package let maxAllocationBytes: Int
  /// The work-items that one work-group may have.
  package let maxWorkGroupSize: Int
  /// The floats that one of its vector registers holds; 1 on a scalar machine.
  package let nativeVectorWidthFloat: Int
  /// Where a slice of a buffer may begin: at multiples of this many bytes.
  package let baseAddressAlignmentBytes: Int
  /// An NVIDIA GPU's compute capability times ten, such as 90; nil elsewhere.
  package let computeCapability: Int?
  /// The extensions that it offers, such as "cl_khr_fp64".
  package let extensions: Set<String>
  /// The name of its platform.
  package let platformName: String
  /// The version of its platform.
  package let platformVersion: String
  /// Whether `auto` chooses it.
  public internal(set) var isDefault = false

  init(handle: cl_device_id, platform: Platform, number: Int) throws(OpenCLError) {
    let index = "\(platform.index):\(number)"
    func text(_ parameter: Int32) throws(OpenCLError) -> String {
      try Query.string("querying device \(index)") {
        clGetDeviceInfo(handle, cl_device_info(parameter), $0, $1, $2)
      }
    }
    func value<Value: BitwiseCopyable>(
      _ parameter: Int32, _ initial: Value
    ) throws(OpenCLError) -> Value {
      try Query.value(initial, "querying device \(index)") {
        clGetDeviceInfo(handle, cl_device_info(parameter), $0, $1, $2)
      }
    }
    self.handle = handle
    self.index = index
    platformHandle = platform.handle
    platformName = platform.name
    platformVersion = platform.version
    let isAvailable = try value(CL_DEVICE_AVAILABLE, cl_bool(0)) != 0
    let hasCompiler = try value(CL_DEVICE_COMPILER_AVAILABLE, cl_bool(0)) != 0
    isUsable = isAvailable && hasCompiler
    name = try text(CL_DEVICE_NAME)
    vendor = try text(CL_DEVICE_VENDOR)
    version = try text(CL_DEVICE_VERSION)
    driver = try text(CL_DRIVER_VERSION)
    type = Kind(bits: try value(CL_DEVICE_TYPE, cl_device_type(0)))
    computeUnits = Int(try value(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint(0)))
    globalMemoryBytes = Int(clamping: try value(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong(0)))
    globalCacheBytes = Int(clamping: try value(CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, cl_ulong(0)))
    localMemoryBytes = Int(clamping: try value(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong(0)))
    localMemoryIsDedicated =
      try value(CL_DEVICE_LOCAL_MEM_TYPE, cl_device_local_mem_type(0))
      == cl_device_local_mem_type(CL_LOCAL)
    maxAllocationBytes = Int(clamping: try value(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong(0)))
    maxWorkGroupSize = try value(CL_DEVICE_MAX_WORK_GROUP_SIZE, 0)
    nativeVectorWidthFloat = Int(
      max(1, try value(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint(0))))
    baseAddressAlignmentBytes = max(
      1, Int(try value(CL_DEVICE_MEM_BASE_ADDR_ALIGN, cl_uint(0))) / 8)
    extensions = Set(try text(CL_DEVICE_EXTENSIONS).split(separator: " ").map(String.init))
    // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV and _MINOR_NV.
    if extensions.contains("cl_nv_device_attribute_query") {
      computeCapability = Int(try value(0x4000, cl_uint(0)) * 10 + value(0x4001, cl_uint(0)))
    } else {
      computeCapability = nil
    }
  }

  /// Every usable device of every platform; a platform that fails to list its own is left out.
  ///
  /// Throws where there is none, and says why.
  public static func all() throws(OpenCLError) -> [Device] { try installed().devices }

  /// The device that a specification names: `auto`, `gpu`, `cpu`, `P:D` or a part of its name.
  ///
  /// `auto` takes a GPU before an accelerator before a CPU; `auto`, `gpu` and `cpu` take the first
  /// of several. Throws where nothing or, for a part of a name, more than one device matches.
  public static func select(_ specification: String) throws(OpenCLError) -> Device {
    let (devices, selection) = try installed()
    return devices[try selection.choose(specification)]
  }

  /// Every usable device, and the rule that chooses among them.
  private static func installed() throws(OpenCLError) -> (
    devices: [Device], selection: DeviceSelection
  ) {
    var devices: [Device] = []
    var problems: [String] = []
    let platforms = try Platform.all()
    for platform in platforms {
      do throws(OpenCLError) {
        let listed = try platform.devices()
        devices += listed.usable
        problems += listed.failures.map(\.description)
      } catch {
        problems.append(error.description)
      }
      if platform.isPoCL, let problem = PoCL.folder.problem { problems.append(problem) }
    }
    let selection = DeviceSelection(
      candidates: devices.map { .init(index: $0.index, name: $0.name, type: $0.type) },
      platformCount: platforms.count, problems: problems)
    devices[try selection.preferred()].isDefault = true
    return (devices, selection)
  }
}

extension Device.Kind {
  init(bits: cl_device_type) {
    func has(_ bit: Int32) -> Bool { bits & cl_device_type(bit) != 0 }
    if has(CL_DEVICE_TYPE_GPU) {
      self = .gpu
    } else if has(CL_DEVICE_TYPE_ACCELERATOR) {
      self = .accelerator
    } else {
      self = has(CL_DEVICE_TYPE_CPU) ? .cpu : .other
    }
  }
}
