import COpenCL

/// An OpenCL implementation that is installed on this machine.
///
/// `@unchecked Sendable`: a `cl_platform_id` is not reference-counted, lives as long as the process,
/// and only `clSetKernelArg` on one kernel object is not thread-safe (OpenCL 1.2, A.2).
package struct Platform: @unchecked Sendable {
  let handle: cl_platform_id
  /// Its place in the list of the ICD loader, from 0.
  package let index: Int
  /// Its name, such as "Portable Computing Language".
  package let name: String
  /// Its maker.
  package let vendor: String
  /// Its version, such as "OpenCL 3.0 PoCL 3.1+debian".
  package let version: String

  /// Every platform, in the order of the ICD loader; none where none is installed.
  ///
  /// A platform that cannot even tell its name is left out. Throws where there is no OpenCL library.
  package static func all() throws(OpenCLError) -> [Platform] { try Drivers.ask(listed) }

  /// The same, on the drivers' queue.
  static func listed() throws(OpenCLError) -> [Platform] {
    if let reason = carousel_load_opencl() {
      throw OpenCLError(
        .noLibrary, code: OpenCLError.platformNotFound, doing: "loading OpenCL",
        explanation: "the OpenCL library cannot be used (\(String(cString: reason)))")
    }
    var count: cl_uint = 0
    let code = clGetPlatformIDs(0, nil, &count)
    if code == OpenCLError.platformNotFound || (code == CL_SUCCESS && count == 0) { return [] }
    try check(code, "listing the OpenCL platforms")
    var handles = [cl_platform_id?](repeating: nil, count: Int(count))
    try check(clGetPlatformIDs(count, &handles, nil), "listing the OpenCL platforms")
    return handles.enumerated().compactMap { index, handle in
      guard let handle else { return nil }
      return try? Platform(handle: handle, index: index)
    }
  }

  private init(handle: cl_platform_id, index: Int) throws(OpenCLError) {
    func text(_ parameter: Int32) throws(OpenCLError) -> String {
      try Query.string("querying platform \(index)") {
        clGetPlatformInfo(handle, cl_platform_info(parameter), $0, $1, $2)
      }
    }
    self.handle = handle
    self.index = index
    name = try text(CL_PLATFORM_NAME)
    vendor = try text(CL_PLATFORM_VENDOR)
    version = try text(CL_PLATFORM_VERSION)
  }

  /// Its devices that are available and have a compiler, in the platform's own order, and why others were
  /// left out that failed to describe themselves; the devices keep their numbers.
  func devices() throws(OpenCLError) -> (usable: [Device], failures: [OpenCLError]) {
    try Drivers.ask(listedDevices)
  }

  /// The same, on the drivers' queue.
  func listedDevices() throws(OpenCLError) -> (usable: [Device], failures: [OpenCLError]) {
    let all = cl_device_type(CL_DEVICE_TYPE_ALL)
    var count: cl_uint = 0
    let code = clGetDeviceIDs(handle, all, 0, nil, &count)
    if code == CL_DEVICE_NOT_FOUND || (code == CL_SUCCESS && count == 0) { return ([], []) }
    try check(code, "listing the devices of platform \(name)")
    var handles = [cl_device_id?](repeating: nil, count: Int(count))
    try check(
      clGetDeviceIDs(handle, all, count, &handles, nil), "listing the devices of platform \(name)")
    var result: (usable: [Device], failures: [OpenCLError]) = ([], [])
    for (number, handle) in handles.enumerated() {
      guard let handle else { continue }
      do throws(OpenCLError) {
        let device = try Device(handle: handle, platform: self, number: number)
        if device.isUsable { result.usable.append(device) }
      } catch {
        result.failures.append(error)
      }
    }
    return result
  }
}
