import COpenCL

/// What makes a built program the same as another one: text, options, device, driver, platform.
struct ProgramKey: Hashable {
  let source: String
  let options: String
  private let target: String

  init(device: Device, source: String, options: [String]) {
    self.source = source
    self.options = (options + ["-cl-kernel-arg-info"]).joined(separator: " ")
    let parts = [
      device.platformName, device.platformVersion, device.name, device.version, device.driver,
    ]
    target = parts.joined(separator: "\n")
  }

  /// The whole key as bytes; no part contains the separator.
  var bytes: [UInt8] { Array([target, options, source].joined(separator: "\0").utf8) }
}

/// A built program on one device.
///
/// Not `Sendable`, like the kernels made from it.
package final class Program {
  /// How messages call it.
  package let name: String
  /// Whether it came out of the disk cache, and was not compiled from source.
  package let isFromDiskCache: Bool

  let handle: cl_program
  let device: Device

  init(
    context: Context, name: String, key: ProgramKey, cache: ProgramCache
  ) throws(OpenCLError) {
    self.name = name
    device = context.device
    try device.checkCanBuild()
    if let binary = cache.load(key: key.bytes),
      let program = Program.restore(binary, context, options: key.options)
    {
      handle = program
      isFromDiskCache = true
      return
    }
    isFromDiskCache = false
    let device = context.device
    handle = try DriverActivity.compiling(name).during { () throws(OpenCLError) in
      let handle = try Program.compile(key, context, name: name)
      if cache.isEnabled, let binary = Program.binary(of: handle, device) {
        cache.store(binary, key: key.bytes)
        cache.trim()
      }
      return handle
    }
  }

  deinit {
    Self.release(handle)
  }

  private static func release(_ program: cl_program) {
    succeeds(clReleaseProgram(program), "releasing a program")
  }

  /// A new kernel object for the kernel of this name.
  package func kernel(_ name: String) throws(OpenCLError) -> Kernel {
    try Kernel(program: self, name: name)
  }

  private static func compile(
    _ key: ProgramKey, _ context: Context, name: String
  ) throws(OpenCLError) -> cl_program {
    var code: cl_int = 0
    let program: cl_program? = key.source.withCString { text in
      var text: UnsafePointer<CChar>? = text
      return clCreateProgramWithSource(context.handle, 1, &text, nil, &code)
    }
    let handle = try made(program, code, "making the program \(name)")
    var device: cl_device_id? = context.device.handle
    code = clBuildProgram(handle, 1, &device, key.options, nil, nil)
    guard code == CL_SUCCESS else {
      let log = try? Query.string("reading a build log") {
        clGetProgramBuildInfo(
          handle, device, cl_program_build_info(CL_PROGRAM_BUILD_LOG), $0, $1, $2)
      }
      release(handle)
      throw OpenCLError(
        .build, code: code, doing: "building \(name)",
        explanation: "the program \(name) does not build on \(context.device.name) "
          + "with \(key.options), \(OpenCLError.name(of: code)) (\(code))",
        buildLog: log)
    }
    return handle
  }

  /// A program from a binary of the cache, or nil where the driver does not take it.
  private static func restore(
    _ binary: [UInt8], _ context: Context, options: String
  ) -> cl_program? {
    var device: cl_device_id? = context.device.handle
    var size = binary.count
    var status: cl_int = 0
    var code: cl_int = 0
    let program: cl_program? = binary.withUnsafeBufferPointer { bytes in
      var address = bytes.baseAddress
      return clCreateProgramWithBinary(
        context.handle, 1, &device, &size, &address, &status, &code)
    }
    guard let program else { return nil }
    guard code == CL_SUCCESS, status == CL_SUCCESS,
      clBuildProgram(program, 1, &device, options, nil, nil) == CL_SUCCESS, hasKernels(program)
    else {
      release(program)
      return nil
    }
    return program
  }

  /// Whether a built program offers any kernel: a binary that was not linked may build and have none.
  private static func hasKernels(_ program: cl_program) -> Bool {
    let count = try? Query.value(0, "counting a program's kernels") {
      clGetProgramInfo(program, cl_program_info(CL_PROGRAM_NUM_KERNELS), $0, $1, $2)
    }
    return (count ?? 0) > 0
  }

  /// A program's binary, or nil where the driver has none to give.
  ///
  /// PoCL compiles every kernel for it, in the general form that the launches then find compiled, unless the
  /// environment asks for one form for each size of a launch.
  private static func binary(of handle: cl_program, _ device: Device) -> [UInt8]? {
    guard (try? device.checkCanBuild()) != nil else { return nil }
    let doing = "reading a program's binary"
    let size = try? Query.value(0, doing) {
      clGetProgramInfo(handle, cl_program_info(CL_PROGRAM_BINARY_SIZES), $0, $1, $2)
    }
    guard let size, size > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    let code = bytes.withUnsafeMutableBufferPointer { bytes in
      var address = bytes.baseAddress
      return clGetProgramInfo(
        handle, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout.size(ofValue: address),
        &address, nil)
    }
    return code == CL_SUCCESS ? bytes : nil
  }
}
