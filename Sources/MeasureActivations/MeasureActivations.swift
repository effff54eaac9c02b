import ArgumentParser
import CarouselOpenCL
import Dispatch
import Foundation
import OpenCLDriver

/// `Tools/measure-activations`: the error of each function of `Kernels/common/activation.cl` on a device.
@main
struct MeasureActivations: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure-activations",
    abstract: "Measures the error of each activation function of the kernels, in ulps.",
    discussion: """
      Every function is computed on the device at Float32 numbers of both signs, infinities and NaN \
      among them, and compared with its Float64 value. The exit status is 1 where an error is above the \
      bound that the function promises.
      """)

  @Option(
    help: ArgumentHelp(
      "Take every so many floats, by their bits; 1 takes all 2³², which takes many minutes.",
      valueName: "count"))
  var stride = 9973
  @Flag(help: "The same as --stride 1.") var full = false
  @Option(help: "The device, as carousel takes it.") var device = "auto"
  @Option(help: "Floats in a vector: 1 (kernels for GPUs), 4, 8 or 16.") var width = 16
  @Option(help: "Measure this function alone; repeatable.") var function: [String] = []

  func validate() throws {
    guard stride >= 1, stride <= 1 << 24 else {
      throw ValidationError("--stride is a number from 1 to 16777216, but \(stride) was given")
    }
    guard [1, 4, 8, 16].contains(width) else {
      throw ValidationError("--width is 1, 4, 8 or 16, but \(width) was given")
    }
    for name in function where MeasuredFunction(rawValue: name) == nil {
      let names = MeasuredFunction.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--function \(name) is none of \(names)")
    }
  }

  func run() throws {
    let backend = try OpenCLBackend(device: Device.select(device))
    let kernel = try ActivationKernel(backend, width: width)
    let floats = full || stride == 1 ? "all floats" : "one float in \(stride)"
    print("\(backend.name), vectors of \(width), \(floats)")
    print("function               floats      worst, ulps   at                bound")
    var holds = true
    for measured in MeasuredFunction.allCases
    where function.isEmpty || function.contains(measured.rawValue) {
      let error = try worstError(of: measured, kernel)
      let bound = measured.bound + (backend.device.type == .cpu ? 0 : measured.divisionAllowance)
      holds = error.ulps <= bound && holds
      let name = measured.rawValue.padding(toLength: 22, withPad: " ", startingAt: 0)
      let x = "\(Float(error.x))".padding(toLength: 16, withPad: " ", startingAt: 0)
      print(
        name, String(format: "%10ld   %10.3f   ", error.count, error.ulps), x,
        String(format: "%6.1f", bound), error.ulps <= bound ? "" : "FAILED")
    }
    if !holds { throw ExitCode(1) }
  }

  /// The floats of `function` in pieces, each computed on the device and then compared on all cores.
  private func worstError(
    of function: MeasuredFunction, _ kernel: ActivationKernel
  ) throws -> ActivationError {
    let step = UInt64(full ? 1 : stride)
    let piece = 1 << 20
    let total = Int((UInt64(1) << 32 + step - 1) / step)
    let slices = 16
    // Each slice has an element of its own.
    nonisolated(unsafe) let errors = UnsafeMutableBufferPointer<ActivationError>.allocate(
      capacity: slices)
    defer { errors.deallocate() }
    errors.initialize(repeating: ActivationError())
    for first in Swift.stride(from: 0, to: total, by: piece) {
      let bits = UInt32(UInt64(first) * step)
      let count = min(piece, total - first)
      let y = try kernel.values(
        of: function, first: bits, step: UInt32(step), count: count)
      DispatchQueue.concurrentPerform(iterations: slices) { slice in
        var error = ActivationError()
        for i in count * slice / slices..<count * (slice + 1) / slices {
          let x = Double(Float(bitPattern: bits + UInt32(i) * UInt32(step)))
          if !function.isForNegatives || !(x > 0) { error.add(function, x: x, y: y[i]) }
        }
        errors[slice].merge(error)
      }
    }
    return errors.reduce(into: ActivationError()) { $0.merge($1) }
  }
}
