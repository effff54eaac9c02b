import CarouselModel
import Foundation
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
    let text = try (files.map { try KernelSources.text($0) } + [source]).joined(separator: "\n")
    let program = try backend.launcher.queue.context.program(
      name: name, source: text, options: options)
    kernel = try program.kernel(name)
  }

  func launch(items: Int, _ arguments: KernelArguments) throws {
    try backend.launcher.queue.launch(kernel, global: [items], arguments: arguments)
  }
}

/// A function of activation.cl, with what it promises.
enum KernelFunction: Int, CaseIterable {
  case exponential
  case sigmoid
  case tanh

  /// The function itself, in Float64.
  func exact(_ x: Double) -> Double {
    switch self {
    case .exponential: exp(x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .tanh: Foundation.tanh(x)
    }
  }

  /// The error in ulps for |x| ≤ 87.
  ///
  /// Those with a division are 2 better where it is rounded
  /// correctly; OpenCL lets it be wrong by 2.5 ulps.
  var bound: Double {
    switch self {
    case .exponential: 1
    case .sigmoid: 2.5 + 2
    case .tanh: 5 + 2
    }
  }

  /// The function at every x, computed in vectors of `width` floats.
  @MainActor
  func evaluate(_ x: [Double], width: Int) throws -> [Double] {
    let kernel = try FunctionKernel(
      "activations", files: ["vector.cl", "activation.cl"],
      source: """
        kernel void activations(global const float *x, global float *y, int function) {
          const int i = get_global_id(0);
          const REAL value = VLOAD(i, x);
          REAL result = hyperbolic_tangent(value);
          if (function == 0) result = exponential(value);
          if (function == 1) result = sigmoid(value);
          VSTORE(result, i, y);
        }
        """, options: ["-DWIDTH=\(width)"])
    let padded = x + [Double](repeating: 0, count: roundUp(x.count, to: width) - x.count)
    let y = try kernel.backend.output(padded.count)
    try kernel.launch(
      items: padded.count / width,
      [
        "x": .buffer(try kernel.backend.input(padded)), "y": .buffer(y), "function": .int(rawValue),
      ])
    return try kernel.backend.read(y, count: x.count)
  }
}

@MainActor @Suite(.device)
struct ActivationTests {
  /// Normal floats of both signs up to 87, evenly by their bits, and the ends.
  static let grid: [Double] = {
    let bits = stride(
      from: Float.leastNormalMagnitude.bitPattern, through: Float(87).bitPattern, by: 20_011)
    return bits.map { Double(Float(bitPattern: $0)) }.flatMap { [$0, -$0] } + [0, 87, -87]
  }()

  @Test(arguments: KernelFunction.allCases)
  func theErrorIsWithinItsBound(function: KernelFunction) throws {
    let y = try function.evaluate(Self.grid, width: 16)
    var worst = 0.0
    for (x, y) in zip(Self.grid, y) {
      let exact = function.exact(x)
      let error = (y - exact).magnitude / Double(Float(exact).ulp)
      worst = error <= worst ? worst : error
    }
    #expect(worst <= function.bound)
  }

  @Test(arguments: KernelFunction.allCases)
  func aVectorHasTheBitsOfAScalar(function: KernelFunction) throws {
    let scalars = try function.evaluate(Self.grid, width: 1)
    for width in [8, 16] {
      #expect(try function.evaluate(Self.grid, width: width) == scalars)
    }
  }

  @Test(arguments: [1, 16])
  func beyondTheirRangeTheFunctionsStay(width: Int) throws {
    let x = [87.5, 88.8, 100, 1e30, .infinity]
    let (low, high) = (exp(-87.0), exp(87.0))
    for e in try KernelFunction.exponential.evaluate(x, width: width) {
      #expect((e / high - 1).magnitude < 1e-6)
    }
    for e in try KernelFunction.exponential.evaluate(x.map { -$0 }, width: width) {
      #expect((e / low - 1).magnitude < 1e-6)
    }
    #expect(try KernelFunction.sigmoid.evaluate(x, width: width) == [1, 1, 1, 1, 1])
    for s in try KernelFunction.sigmoid.evaluate(x.map { -$0 }, width: width) {
      #expect(s >= 0 && s <= 2e-38)
    }
    for sign in [1.0, -1] {
      for t in try KernelFunction.tanh.evaluate(x.map { sign * $0 }, width: width) {
        #expect(sign * t <= 1 && sign * t >= 1 - 3 * 0x1p-23)
      }
    }
  }

  @Test(arguments: [1, 16])
  func zerosKeepTheirSignAndDenormalsAreSmall(width: Int) throws {
    let denormals = [0x1p-149, -0x1p-149, 0x1p-127, -0x1.8p-127]
    let tiny = [0, -0.0] + denormals
    let tanh = try KernelFunction.tanh.evaluate(tiny, width: width)
    #expect(tanh[0] == 0 && tanh[0].sign == .plus)
    #expect(tanh[1] == 0 && tanh[1].sign == .minus)
    #expect(zip(tanh[2...], denormals).allSatisfy { ($0 - $1).magnitude <= 0x1p-126 })
    let exponential = try KernelFunction.exponential.evaluate(tiny, width: width)
    #expect(exponential.allSatisfy { $0 == 1 })
    let sigmoid = try KernelFunction.sigmoid.evaluate(tiny, width: width)
    #expect(sigmoid.allSatisfy { $0 == 0.5 })
  }

  @Test(arguments: KernelFunction.allCases, [1, 16])
  func notANumberStaysNotANumber(function: KernelFunction, width: Int) throws {
    var x = numbers(32, stream: 80)
    for lane in [0, 15, 21] { x[lane] = .nan }
    let y = try function.evaluate(x, width: width)
    #expect(zip(x, y).allSatisfy { $0.isNaN == $1.isNaN })
  }
}

@MainActor @Suite(.device)
struct PhiloxKernelTests {
  @Test(
    arguments: [0, 1, 0x0123_4567_89AB_CDEF, .max] as [UInt64], [0, 5 << 56 | 3, .max] as [UInt64])
  func everyWordIsThatOfTheHost(seed: UInt64, stream: UInt64) throws {
    let kernel = try FunctionKernel(
      "words", files: ["philox.cl"],
      source: """
        kernel void words(global float *halves, ulong seed, ulong stream, ulong first) {
          const int i = get_global_id(0);
          const uint4 block = philox_block(seed, stream, first + i);
          vstore4(convert_float4(block >> 16), 2 * i, halves);
          vstore4(convert_float4(block & 0xFFFF), 2 * i + 1, halves);
        }
        """)
    let philox = Philox(seed: seed, stream: stream)
    let blocks = 9
    for first in [0, 0xFFFF_FFFC, 1 << 60] as [UInt64] {
      let halves = try kernel.backend.output(8 * blocks)
      try kernel.launch(
        items: blocks,
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
