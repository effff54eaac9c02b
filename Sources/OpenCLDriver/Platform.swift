import COpenCL
import Dispatch

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

/// The drivers of all platforms, which the first question to OpenCL loads: some 50 ms for PoCL.
///
/// Questions that may load them come one at a time: to the second of two threads that ask at once,
/// PoCL 3.1 answers that it has no device.
package enum Drivers {
  private static let questions = DispatchQueue(label: "carousel.drivers")

  /// Begins to load the drivers on another thread and returns at once.
  ///
  /// Whoever lists platforms or devices meanwhile waits. `wait` before the process ends.
  package static func load() {
    PoCL.prepare()
    questions.async {
      for platform in (try? Platform.listed()) ?? [] { _ = try? platform.listedDevices() }
    }
  }

  /// Waits for what `load` began: a process that ends while its drivers are loaded may crash.
  package static func wait() { questions.sync {} }

  /// Asks when nobody else does.
  static func ask<Value>(
    _ question: () throws(OpenCLError) -> Value
  ) throws(OpenCLError) -> Value {
    PoCL.prepare()
    return try questions.sync { Result(catching: question) }.get()
  }
}

/// The two-call protocol of the `clGet…Info` functions: ask for the size, then for the value.
enum Query {
  /// A `clGet…Info` function with its handle and parameter filled in.
  typealias Call = (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int

  /// A value of fixed size; `initial` only fixes its type and size.
  static func value<Value: BitwiseCopyable>(
    _ initial: Value, _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> Value {
    var value = initial
    let code = withUnsafeMutableBytes(of: &value) { call($0.count, $0.baseAddress, nil) }
    try check(code, doing())
    return value
  }

  /// A value of as many bytes as OpenCL says.
  static func bytes(
    _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> [UInt8] {
    var size = 0
    try check(call(0, nil, &size), doing())
    guard size > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: size)
    let code = bytes.withUnsafeMutableBytes { call(size, $0.baseAddress, nil) }
    try check(code, doing())
    return bytes
  }

  /// A text up to its terminating zero, without white space around it.
  static func string(
    _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> String {
    let text = String(decoding: try bytes(doing(), call).prefix { $0 != 0 }, as: UTF8.self)
    let isSpace = { (character: Character) in character.isWhitespace }
    let head = text.drop(while: isSpace)
    return String(String(head.reversed().drop(while: isSpace)).reversed())
  }
}
