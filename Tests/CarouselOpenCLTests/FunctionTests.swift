import CarouselModel
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

/// A kernel of the test that hands on the functions of kernel files.
@MainActor
private struct FunctionKernel {
  let backend: OpenCLBackend
  private let kernel: Kernel

  init(_ name: String, files: [String], source: String, options: [String] = []) throws {
    backend = try Machine.backend(.gpu)
    let text = try KernelSources.program(files) + source
    let program = try backend.launcher.queue.context.program(
      name: name, source: text, options: options)
    kernel = try program.kernel(name)
  }

  func launch(items: Int, _ arguments: KernelArguments) throws {
    try backend.launcher.queue.launch(kernel, global: [items], arguments: arguments)
  }
}

@MainActor @Suite(.device)
struct ActivationTests {
  /// Floats of both signs evenly by their bits, denormal ones, infinities and NaN among them.
  static let grid: [Double] = stride(from: 0, to: 1 << 32, by: 40_009).map {
    Double(Float(bitPattern: UInt32($0)))
  }

  /// Kernels for vectors of a width, compiled once.
  private static var kernels: [Int: ActivationKernel] = [:]

  private func evaluate(
    _ function: MeasuredFunction, at x: [Double], width: Int
  ) throws -> [Double] {
    let kernel =
      try Self.kernels[width] ?? ActivationKernel(Machine.backend(.gpu), width: width)
    Self.kernels[width] = kernel
    return try kernel.values(of: function, at: x)
  }

  private func domain(of function: MeasuredFunction) -> [Double] {
    Self.grid.filter { !(function.isForNegatives && $0 > 0) }
  }

  @Test(arguments: MeasuredFunction.allCases)
  func theErrorIsWithinItsBound(function: MeasuredFunction) throws {
    let x = domain(of: function)
    let y = try evaluate(function, at: x, width: 16)
    var error = ActivationError()
    for (x, y) in zip(x, y) { error.add(function, x: x, y: y) }
    let allowance = try Machine.device.type == .cpu ? 0 : function.divisionAllowance
    #expect(error.count > 40_000)
    #expect(error.ulps <= function.bound + allowance, "at \(error.x)")
  }

  @Test(arguments: MeasuredFunction.allCases)
  func aVectorHasTheBitsOfAScalar(function: MeasuredFunction) throws {
    let x = domain(of: function)
    let scalars = try evaluate(function, at: x, width: 1).map { Float($0).bitPattern }
    for width in [8, 16] {
      let vectors = try evaluate(function, at: x, width: width).map { Float($0).bitPattern }
      #expect(zip(x, zip(scalars, vectors)).allSatisfy { $0.isNaN || $1.0 == $1.1 })
    }
  }

  @Test(arguments: [1, 16])
  func limitsAreReachedExactly(width: Int) throws {
    func limits(_ function: MeasuredFunction, _ x: [Double]) throws -> Set<Double> {
      Set(try evaluate(function, at: x, width: width))
    }
    let large = [10, 88.8, 100, 1e30, .infinity]
    let negative = large.map { -$0 }
    #expect(try limits(.tanh, [9.02] + large) == [1])
    #expect(try limits(.tanh, [-9.02] + negative) == [-1])
    #expect(try limits(.sigmoid, [17.4, 88, 89, 1e30, .infinity]) == [1])
    #expect(try limits(.sigmoid, [-88.8, -89, -1e30, -.infinity]) == [0])
    #expect(try limits(.exponential, [-88, -104, -1e30, -.infinity]) == [0])
    #expect(try limits(.exponentialMinusOne, [-18, -1e30, -.infinity]) == [-1])
    #expect(try limits(.elu, [-18, -1e30, -.infinity]) == [-1])
    #expect(try limits(.elu, [.infinity]) == [.infinity])
    #expect(try limits(.softplus, [-88, -1e30, -.infinity]) == [0])
    #expect(try limits(.softplus, [.infinity]) == [.infinity])
    #expect(try limits(.softsign, [1e9, 1e30, .infinity]) == [1])
    #expect(try limits(.softsign, [-1e9, -1e30, -.infinity]) == [-1])
    #expect(try limits(.hardSigmoid, [2.5, 1e30, .infinity]) == [1])
    #expect(try limits(.hardSigmoid, [-2.5, -1e30, -.infinity]) == [0])
    #expect(try limits(.scaledTanh, [15, 1e30, .infinity]) == [Double(Float(1.7159))])
  }

  @Test(arguments: [1, 16])
  func zerosKeepTheirSignAndDenormalsAreSmall(width: Int) throws {
    let denormals = [0x1p-149, -0x1p-149, 0x1p-127, -0x1.8p-127]
    let tanh = try evaluate(.tanh, at: [0, -0.0] + denormals, width: width)
    #expect(tanh[0] == 0 && tanh[0].sign == .plus)
    #expect(tanh[1] == 0 && tanh[1].sign == .minus)
    #expect(zip(tanh[2...], denormals).allSatisfy { ($0 - $1).magnitude <= 0x1p-126 })
    #expect(try evaluate(.exponential, at: [0, -0x1p-149], width: width) == [1, 1])
    #expect(
      try evaluate(.sigmoid, at: [0, -0.0] + denormals, width: width).allSatisfy { $0 == 0.5 })
  }

  @Test(arguments: MeasuredFunction.allCases, [1, 16])
  func notANumberStaysNotANumber(function: MeasuredFunction, width: Int) throws {
    var x = numbers(32, stream: 80).map { -$0.magnitude }
    for lane in [0, 15, 21] { x[lane] = .nan }
    let y = try evaluate(function, at: x, width: width)
    #expect(zip(x, y).allSatisfy { $0.isNaN == $1.isNaN })
  }
}

@MainActor @Suite(.device)
struct PhiloxKernelTests {
  @Test(
    arguments: [0, 1, 0x0123_4567_89AB_CDEF, .max] as [UInt64], [0, 5 << 56 | 3, .max] as [UInt64])
  func everyWordIsThatOfTheHost(seed: UInt64, stream: UInt64) throws {
    let philox = Philox(seed: seed, stream: stream)
    let blocks = 32
    for width in [1, 16] {
      let kernel = try FunctionKernel(
        "words", files: ["common/philox.cl"],
        source: """
          kernel void words(global float *halves, ulong seed, ulong stream, ulong first) {
            const int i = get_global_id(0) * WIDTH;
            ulong blocks[WIDTH];
            for (int lane = 0; lane < WIDTH; ++lane) blocks[lane] = first + i + lane;
            WORD words[4];
            philox_blocks(seed, stream, VLOAD(0, blocks), words);
            for (int word = 0; word < 4; ++word) {
              uint lanes[WIDTH];
              VSTORE(words[word], 0, lanes);
              for (int lane = 0; lane < WIDTH; ++lane) {
                halves[8 * (i + lane) + word] = lanes[lane] >> 16;
                halves[8 * (i + lane) + 4 + word] = lanes[lane] & 0xFFFF;
              }
            }
          }
          """, options: ["-DWIDTH=\(width)"])
      for first in [0, 0xFFFF_FFEC, 1 << 60] as [UInt64] {
        let halves = try kernel.backend.output(8 * blocks)
        try kernel.launch(
          items: blocks / width,
          [
            "halves": .buffer(halves), "seed": .uint64(seed), "stream": .uint64(stream),
            "first": .uint64(first),
          ])
        let expected = (0..<UInt64(blocks)).flatMap { index in
          let block = philox.block(first + index)
          return [16, 0].flatMap { shift in
            (0..<4).map { Double(block[$0] >> UInt32(shift) & 0xFFFF) }
          }
        }
        #expect(try kernel.backend.read(halves, count: 8 * blocks) == expected)
      }
    }
  }
}
