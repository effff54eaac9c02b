// One LSTM from naive to fast: the four kernel files beside this one, timed and checked one after
// the other.
//
//   swift run -c release LSTMInFourKernels [T N C H]
//
// CAROUSEL_DEVICE chooses the device. Exits with 1 where a kernel's result differs from the
// equations in Float64.
import CarouselOpenCL
import Dispatch
import Foundation
import OpenCLDriver

/// The layer on a device: T steps of N sequences with C inputs and H hidden units.
struct DeviceLayer {
  let layer: Layer
  let queue: Queue
  /// Floats in a vector, and the sequences of a tile, whose 4 ROWS sums have to fit in registers.
  let width: Int, rows: Int
  let x: Buffer, weightIH: Buffer, weightHH: Buffer, bias: Buffer
  let packed: Buffer, zeros: Buffer, c: Buffer, y: Buffer

  init(_ layer: Layer, device: Device) throws {
    self.layer = layer
    let context = try Context(device: device)
    let queue = try Queue(context: context)
    self.queue = queue
    width = device.nativeVectorWidthFloat >= 16 ? 16 : 8
    rows = width == 16 ? 4 : 2
    func buffer(_ count: Int) throws -> Buffer {
      try Buffer(context: context, byteCount: 4 * count)
    }
    func buffer(_ values: [Float]) throws -> Buffer {
      let result = try buffer(values.count)
      try queue.write(values, to: result)
      return result
    }
    (x, bias) = (try buffer(layer.x), try buffer(layer.bias))
    (weightIH, weightHH) = (try buffer(layer.weightIH), try buffer(layer.weightHH))
    packed = try buffer(4 * layer.hiddenSize * (layer.inputSize + layer.hiddenSize))
    let zeros = [Float](repeating: 0, count: layer.batchSize * layer.hiddenSize)
    (self.zeros, c) = (try buffer(zeros), try buffer(zeros))
    y = try buffer(layer.sequenceLength * layer.batchSize * layer.hiddenSize)
  }

  /// The kernel `name` of the file `file`.
  func kernel(_ name: String, in file: String) throws -> Kernel {
    guard
      let url = Bundle.module.url(forResource: file, withExtension: "cl", subdirectory: "Kernels")
    else { fatalError("the kernel file \(file).cl is not in the bundle") }
    return try queue.context.program(
      name: file, source: String(contentsOf: url, encoding: .utf8),
      options: ["-DWIDTH=\(width)", "-DROWS=\(rows)"]
    ).kernel(name)
  }

  /// Packs the weights with the kernel `pack` of `file`.
  func pack(in file: String) throws {
    try queue.launch(
      kernel("pack", in: file),
      global: [layer.inputSize + layer.hiddenSize, layer.hiddenSize / width],
      arguments: [
        "weight_ih": .buffer(weightIH), "weight_hh": .buffer(weightHH), "packed": .buffer(packed),
        "C": .int32(Int32(layer.inputSize)), "H": .int32(Int32(layer.hiddenSize)),
      ])
  }

  /// A pass of a kernel that is launched for each step, over `global`.
  func steps(
    _ kernel: Kernel, global: [Int], weights: KernelArguments, last: KernelArguments = [:]
  ) throws {
    for t in 0..<layer.sequenceLength {
      let arguments: KernelArguments =
        ["x": .buffer(x)] + weights + [
          "bias": .buffer(bias), "h_0": .buffer(zeros), "c": .buffer(c), "y": .buffer(y),
          "t": .int32(Int32(t)), "C": .int32(Int32(layer.inputSize)),
        ]
      try queue.launch(kernel, global: global, arguments: arguments + last)
    }
  }
}

/// A way to compute the layer: what it is called, and a pass.
struct Version {
  let name: String, file: String
  let pass: (DeviceLayer, Kernel) throws -> Void
  var kernel = "lstm_step"
  var isPacked = true

  @MainActor static let all = [
    Version(
      name: "the equations as they stand", file: "1_naive",
      pass: { on, kernel in
        try on.steps(
          kernel, global: [on.layer.hiddenSize, on.layer.batchSize],
          weights: ["weight_ih": .buffer(on.weightIH), "weight_hh": .buffer(on.weightHH)])
      }, isPacked: false),
    Version(
      name: "weights in reading order", file: "2_vectors",
      pass: { on, kernel in
        try on.steps(
          kernel, global: [on.layer.hiddenSize / on.width, on.layer.batchSize],
          weights: ["packed": .buffer(on.packed)])
      }),
    Version(
      name: "tiles in registers", file: "3_tiles",
      pass: { on, kernel in
        try on.steps(
          kernel,
          global: [on.layer.hiddenSize / on.width, (on.layer.batchSize + on.rows - 1) / on.rows],
          weights: ["packed": .buffer(on.packed)], last: ["N": .int32(Int32(on.layer.batchSize))])
      }),
    Version(
      name: "one launch for all steps", file: "4_sequence",
      pass: { on, kernel in
        let slices = min(on.queue.context.device.computeUnits, on.layer.batchSize)
        try on.queue.launch(
          kernel, global: [slices], local: [1],
          arguments: [
            "x": .buffer(on.x), "packed": .buffer(on.packed), "bias": .buffer(on.bias),
            "h_0": .buffer(on.zeros), "c": .buffer(on.c), "y": .buffer(on.y),
            "T": .int32(Int32(on.layer.sequenceLength)), "N": .int32(Int32(on.layer.batchSize)),
            "C": .int32(Int32(on.layer.inputSize)), "H": .int32(Int32(on.layer.hiddenSize)),
          ])
      }, kernel: "lstm_sequence"),
  ]

  /// The seconds of the fastest of several passes, and what the last one left in y.
  func measure(_ on: DeviceLayer) throws -> (seconds: Double, y: [Float]) {
    let kernel = try on.kernel(kernel, in: file)
    if isPacked { try on.pack(in: file) }
    var best = Double.infinity
    let end = DispatchTime.now().uptimeNanoseconds + 500_000_000
    var passes = 0
    repeat {
      try on.queue.fill(on.c, with: Float(0))
      try on.queue.finish()
      let start = DispatchTime.now().uptimeNanoseconds
      try pass(on, kernel)
      try on.queue.finish()
      best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9)
      passes += 1
    } while passes < 3 || DispatchTime.now().uptimeNanoseconds < end
    let layer = on.layer
    return (
      best,
      try on.queue.read(
        on.y, as: Float.self, count: layer.sequenceLength * layer.batchSize * layer.hiddenSize)
    )
  }
}

/// The sizes on the command line, T N C H.
func sizes(_ words: [String]) throws -> [Int] {
  if words.isEmpty { return [50, 32, 20, 128] }
  let values = words.compactMap { Int($0) }
  guard words.count == 4, values.count == 4, values.allSatisfy({ 1...4096 ~= $0 }) else {
    throw Failure(
      "the sizes are four numbers from 1 to 4096, T N C H, but are: \(words.joined(separator: " "))"
    )
  }
  guard values[3].isMultiple(of: 16) else {
    throw Failure("H has to be a multiple of 16 for these kernels, but is \(values[3])")
  }
  return values
}

/// What ends the program, in one sentence.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

@MainActor func run() throws -> Bool {
  let sizes = try sizes(Array(CommandLine.arguments.dropFirst()))
  let layer = Layer(
    sequenceLength: sizes[0], batchSize: sizes[1], inputSize: sizes[2], hiddenSize: sizes[3])
  let device = try Device.select(ProcessInfo.processInfo.environment["CAROUSEL_DEVICE"] ?? "auto")
  let peak = try OpenCLBackend(device: device).measurePeak().gflops
  print(
    "LSTM forward, T\(layer.sequenceLength) N\(layer.batchSize) C\(layer.inputSize) H\(layer.hiddenSize), on \(device.name)"
  )
  print(
    "kernel          what is new                          ms   GFLOP/s   of peak    faster   difference"
  )
  let reference = layer.reference()
  let onDevice = try DeviceLayer(layer, device: device)
  var (isRight, before) = (true, 0.0)
  for version in Version.all {
    let (seconds, y) = try version.measure(onDevice)
    let difference = zip(y, reference).map { abs(Double($0) - $1) }.max() ?? .nan
    // Sums of C + H products, as long as they are added in Float32 one after the other.
    let bound = Double(layer.inputSize + layer.hiddenSize) * 0x1p-24 * 4
    if !(difference <= bound) { isRight = false }
    let gflops = layer.flops / seconds * 1e-9
    print(
      version.file.padding(toLength: 15, withPad: " ", startingAt: 0),
      version.name.padding(toLength: 28, withPad: " ", startingAt: 0),
      String(
        format: "%10.2f %9.1f %8.1f%% %8@   %.1e%@", seconds * 1e3, gflops, gflops / peak * 100,
        before == 0 ? "" : String(format: "×%.1f", before / seconds), difference,
        difference <= bound ? "" : "  WRONG"))
    before = seconds
  }
  return isRight
}

do {
  exit(try run() ? 0 : 1)
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit(error is Failure ? 64 : 69)
}
