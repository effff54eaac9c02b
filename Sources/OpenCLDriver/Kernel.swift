import COpenCL

/// A kernel of a program.
///
/// Not `Sendable`: setting arguments is the one OpenCL call that is not thread-safe (OpenCL 1.2,
/// A.2), and a launch is several of them.
package final class Kernel {
  /// The program it belongs to.
  package let program: Program
  /// Its name in the source.
  package let name: String
  /// Its parameters, or nil where the device's compiler does not tell.
  package let parameters: [KernelParameter]?

  let handle: cl_kernel
  private var wasLaunched = false

  init(program: Program, name: String) throws(OpenCLError) {
    var code: cl_int = 0
    let kernel = clCreateKernel(program.handle, name, &code)
    let handle = try made(kernel, code, "looking for kernel \(name) in \(program.name)")
    self.program = program
    self.name = name
    self.handle = handle
    parameters = try? Kernel.parameters(of: handle, name)
  }

  /// Makes another object for a kernel that was launched before, with arguments of its own.
  init(copying kernel: Kernel) throws(OpenCLError) {
    (program, name, parameters) = (kernel.program, kernel.name, kernel.parameters)
    var code: cl_int = 0
    let object = clCreateKernel(program.handle, name, &code)
    handle = try made(object, code, "looking for kernel \(name) in \(program.name)")
    wasLaunched = true
  }

  deinit {
    succeeds(clReleaseKernel(handle), "releasing a kernel")
  }

  /// Compares arguments with the parameters, at the first call only, for which it returns true.
  ///
  /// They are written out in the source of whoever launches, so a difference is a bug there and ends
  /// the program.
  @inline(__always)
  func checkOnce(_ arguments: KernelArguments) -> Bool {
    if wasLaunched { return false }
    wasLaunched = true
    if let parameters,
      let mismatch = KernelParameter.mismatch(of: arguments, with: parameters, kernel: name)
    {
      fatalError(mismatch)
    }
    return true
  }

  /// Whether the compiler tells that the kernel does not write to what a parameter points to.
  @inline(__always)
  func onlyReads(_ position: Int) -> Bool { parameters?[position].isReadOnly ?? false }

  /// Sets one argument.
  @inline(__always)
  func set(_ argument: KernelArgument, at position: Int, _ key: StaticString) throws(OpenCLError) {
    let index = cl_uint(truncatingIfNeeded: position)
    let code: cl_int
    switch argument {
    case .buffer(let buffer):
      var value: cl_mem? = buffer.handle
      code = clSetKernelArg(handle, index, MemoryLayout<cl_mem?>.size, &value)
    case .nullBuffer:
      var value: cl_mem?
      code = clSetKernelArg(handle, index, MemoryLayout<cl_mem?>.size, &value)
    case .int32(var value): code = clSetKernelArg(handle, index, 4, &value)
    case .uint32(var value): code = clSetKernelArg(handle, index, 4, &value)
    case .uint64(var value): code = clSetKernelArg(handle, index, 8, &value)
    case .float(var value): code = clSetKernelArg(handle, index, 4, &value)
    }
    try check(code, "setting argument \(key) of kernel \(name)")
  }

  private static func parameters(
    of kernel: cl_kernel, _ name: String
  ) throws(OpenCLError) -> [KernelParameter] {
    let doing = "querying the parameters of kernel \(name)"
    let count = try Query.value(cl_uint(0), doing) {
      clGetKernelInfo(kernel, cl_kernel_info(CL_KERNEL_NUM_ARGS), $0, $1, $2)
    }
    var parameters: [KernelParameter] = []
    for index in 0..<count {
      func text(_ parameter: Int32) throws(OpenCLError) -> String {
        try Query.string(doing) {
          clGetKernelArgInfo(kernel, index, cl_kernel_arg_info(parameter), $0, $1, $2)
        }
      }
      let qualifier = try Query.value(cl_kernel_arg_address_qualifier(0), doing) {
        clGetKernelArgInfo(
          kernel, index, cl_kernel_arg_info(CL_KERNEL_ARG_ADDRESS_QUALIFIER), $0, $1, $2)
      }
      let type = try Query.value(cl_kernel_arg_type_qualifier(0), doing) {
        clGetKernelArgInfo(
          kernel, index, cl_kernel_arg_info(CL_KERNEL_ARG_TYPE_QUALIFIER), $0, $1, $2)
      }
      let space: KernelParameter.AddressSpace =
        switch Int32(qualifier) {
        case CL_KERNEL_ARG_ADDRESS_GLOBAL: .global
        case CL_KERNEL_ARG_ADDRESS_CONSTANT: .constant
        case CL_KERNEL_ARG_ADDRESS_LOCAL: .local
        default: .private
        }
      parameters.append(
        KernelParameter(
          name: try text(CL_KERNEL_ARG_NAME), typeName: try text(CL_KERNEL_ARG_TYPE_NAME),
          addressSpace: space,
          isReadOnly: space == .constant
            || type & cl_kernel_arg_type_qualifier(CL_KERNEL_ARG_TYPE_CONST) != 0))
    }
    return parameters
  }
}

extension Queue {
  /// Queues a kernel over `global` work-items, in work-groups of `local` or, with nil, of the
  /// driver's choice, innermost dimension first.
  ///
  /// Arguments stand in the order of the kernel's parameters, under their names. At a kernel
  /// object's first launch they are compared with what the compiler saw, where it tells, and a
  /// difference ends the program.
  @discardableResult
  package func launch(
    _ kernel: Kernel, global: [Int], local: [Int]? = nil,
    arguments: KernelArguments
  ) throws(OpenCLError) -> Event? {
    precondition(
      local == nil || local?.count == global.count,
      "\(kernel.name) launched with \(global) work-items in groups of \(local ?? [])")
    let isFirst = kernel.checkOnce(arguments)
    for (position, (name, value)) in arguments.elements.enumerated() {
      try kernel.set(value, at: position, name)
      if case .buffer(let buffer) = value, !kernel.onlyReads(position) {
        buffer.countWrite()
      }
    }
    func enqueue() throws(OpenCLError) -> Event? {
      try self.enqueue(kernel.name) {
        clEnqueueNDRangeKernel(
          handle, kernel.handle, cl_uint(global.count), nil, global, local, 0, nil, $0)
      }
    }
    guard isFirst else { return try enqueue() }
    return try DriverActivity.firstLaunch(kernel: kernel.name).during(enqueue)
  }
}
