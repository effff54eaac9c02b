import Testing

@testable import OpenCLDriver

@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct KernelTests {
  let context: Context
  let queue: Queue

  init() throws {
    context = try Machine.context()
    queue = try Queue(context: context, profiling: true)
  }

  @Test func everyKindOfArgumentArrives() throws {
    let kernel = try context.program(name: "every_kind", source: Source.everyKind)
      .kernel("every_kind")
    let y = try Buffer(context: context, byteCount: 4)
    let table = try Buffer(context: context, byteCount: 4)
    try queue.write([0.5] as [Float], to: table)
    try queue.launch(
      kernel, global: [1], local: [1],
      arguments: [
        "y": .buffer(y), "table": .buffer(table), "i": .int32(-3),
        "u": .uint32(40), "w": .uint64(1 << 33), "f": .float(0.25), "maybe": .nullBuffer,
      ])
    let sum: Float = 0.25 - 3 + 40 + Float(1 << 33) + 0.5
    #expect(try queue.read(y, as: Float.self, count: 1) == [sum + 1000])
    try queue.launch(
      kernel, global: [1], local: [1],
      arguments: [
        "y": .buffer(y), "table": .buffer(table), "i": .int32(-3),
        "u": .uint32(40), "w": .uint64(2), "f": .float(0.25), "maybe": .buffer(table),
      ])
    #expect(try queue.read(y, as: Float.self, count: 1) == [0.25 - 3 + 40 + 2 + 0.5 + 0.5])
  }

  @Test func theCompilerTellsParameters() throws {
    let kernel = try context.program(name: "every_kind", source: Source.everyKind)
      .kernel("every_kind")
    let parameters = try #require(kernel.parameters)
    #expect(parameters.map(\.name) == ["y", "table", "i", "u", "w", "f", "maybe"])
    #expect(
      parameters.map(\.addressSpace) == [
        .global, .constant, .private, .private, .private, .private, .global,
      ])
    #expect(parameters[2...5].map(\.typeName) == ["int", "uint", "ulong", "float"])
    #expect(!parameters[0].isReadOnly && parameters[1].isReadOnly)
  }

  @Test func wrongArgumentsAreCaught() throws {
    let kernel = try context.program(name: "scale", source: Source.scale).kernel("scale")
    let parameters = try #require(kernel.parameters)
    let buffer = KernelArgument.buffer(try Buffer(context: context, byteCount: 4))
    func mismatch(_ arguments: KernelArguments) -> String? {
      KernelParameter.mismatch(of: arguments, with: parameters, kernel: "scale")
    }
    #expect(mismatch(["x": buffer, "y": buffer, "factor": .float(1), "count": .uint32(1)]) == nil)
    #expect(
      mismatch(["x": buffer, "y": .nullBuffer, "factor": .float(1), "count": .uint32(1)]) == nil)
    #expect(
      mismatch(["x": buffer, "z": buffer, "factor": .float(1), "count": .uint32(1)])
        == "parameter 1 of scale is y and was given z")
    #expect(
      mismatch(["x": buffer, "y": buffer, "count": .uint32(1), "factor": .float(1)])
        == "parameter 2 of scale is factor and was given count")
    #expect(
      mismatch(["x": buffer, "y": buffer, "factor": .float(1)])
        == "scale has 4 parameters and was given 3")
    #expect(
      mismatch(["x": buffer, "y": buffer, "factor": .float(1), "count": .int32(1)])
        == "parameter count of scale is a private uint and was given an Int32")
    #expect(
      mismatch(["x": buffer, "y": buffer, "factor": .uint64(1), "count": .uint32(1)])
        == "parameter factor of scale is a private float and was given a UInt64")
    for wrong in [KernelArgument.float(1), .int32(1), .uint32(1), .uint64(1)] {
      #expect(
        mismatch(["x": wrong, "y": buffer, "factor": .float(1), "count": .uint32(1)])?
          .hasPrefix("parameter x of scale is a global ") == true)
    }
    #expect(
      mismatch(["x": buffer, "y": buffer, "factor": buffer, "count": .uint32(1)])
        == "parameter factor of scale is a private float and was given a buffer")
  }

  @Test func aWrongFirstLaunchEndsTheProgram() async throws {
    let result = await #expect(
      processExitsWith: .failure, observing: [\.standardErrorContent]
    ) {
      let context = try Machine.context()
      let kernel = try context.program(name: "scale", source: Source.scale).kernel("scale")
      let buffer = try Buffer(context: context, byteCount: 4)
      try Queue(context: context).launch(
        kernel, global: [1],
        arguments: [
          "x": .buffer(buffer), "out": .buffer(buffer), "factor": .float(1), "count": .uint32(1),
        ])
    }
    let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    #expect(message.contains("parameter 1 of scale is y and was given out"))
  }

  @Test func aBadLaunchNamesKernelAndDevice() throws {
    let kernel = try context.program(name: "scale", source: Source.scale).kernel("scale")
    let buffer = try Buffer(context: context, byteCount: 4)
    let size = context.device.maxWorkGroupSize * 2
    let error = try failure {
      try queue.launch(
        kernel, global: [size], local: [size],
        arguments: [
          "x": .buffer(buffer), "y": .buffer(buffer), "factor": .float(1), "count": .uint32(0),
        ])
    }
    #expect(error.kind == .call)
    #expect(error.name.hasPrefix("CL_INVALID_WORK_"))
    #expect(error.doing == "queueing scale on \(context.device.name)")
  }

  @Test func timesAreOrdered() throws {
    let kernel = try context.program(name: "scale", source: Source.scale).kernel("scale")
    let count = 1 << 12
    let buffer = try Buffer(context: context, byteCount: 4 * count)
    let fill = try queue.fill(buffer, with: Float(1))
    let launch = try queue.launch(
      kernel, global: [count],
      arguments: [
        "x": .buffer(buffer), "y": .buffer(buffer), "factor": .float(3),
        "count": .uint32(UInt32(count)),
      ])
    try #require(launch).wait()
    #expect(try queue.read(buffer, byteOffset: 4 * (count - 1), as: Float.self, count: 1) == [3])
    let times = try [fill, launch].map { event in try #require(event).profilingTimes }
    for time in times {
      #expect(time.queued <= time.submitted && time.submitted <= time.started)
      #expect(time.started <= time.ended)
    }
    #expect(times[1].duration > 0)
    #expect(times[0].ended <= times[1].started)
  }

  @Test func aQueueWithoutProfilingGivesNoEvents() throws {
    let plain = try Queue(context: context)
    let buffer = try Buffer(context: context, byteCount: 4)
    #expect(try plain.fill(buffer, with: Int32(6)) == nil)
    try plain.finish()
    #expect(try plain.read(buffer, as: Int32.self, count: 1) == [6])
  }
}
