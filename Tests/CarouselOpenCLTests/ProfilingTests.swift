import CarouselModel
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

@MainActor @Suite(.device)
struct ProfilingTests {
  @Test(arguments: KernelForm.both)
  func everyLaunchIsRecordedWithItsTimeAndItsOperations(form: KernelForm) throws {
    let backend = try Machine.backend(form)
    #expect(backend.kernelForm == form)
    backend.clearLaunches()
    _ = try LinearWork(rows: 33, inputSize: 9, outputSize: 17).outcomes(on: backend)
    let launches = try backend.launches
    let (flops, bytes): (Double, Double) = (2 * 33 * 17 * 9, 4 * (33 * 9 + 17 * 9 + 33 * 17))
    // y, the gradient of the weights, the gradient of x: each 2·M·N·K.
    let products = launches.filter {
      $0.kernel.hasPrefix("gemm") || $0.kernel == "weight_gradients"
    }
    #expect(products.map(\.flops) == [flops, flops, flops])
    #expect(products[0].bytes == bytes)
    #expect(launches.allSatisfy { $0.started < $0.ended && $0.queued <= $0.started })
    #expect(zip(launches, launches.dropFirst()).allSatisfy { $0.ended <= $1.started })
    backend.clearLaunches()
    #expect(try backend.launches.isEmpty)
  }

  @Test(arguments: KernelForm.both)
  func aRecurrentLayerCountsTheOperationsOfItsEquations(form: KernelForm) throws {
    let backend = try Machine.backend(form)
    var work = RecurrentTests.small(.lstm)
    work.wantsGradInitial = false
    backend.clearLaunches()
    _ = try work.outcomes(on: backend)
    let flops = try backend.launches.reduce(0) { $0 + $1.flops }
    let counted = work.layer.flops(
      sequenceLength: work.sequenceLength, batchSize: work.batchSize, backward: true)
    // The sums of the biases, and the last step's product that the backward pass has no need of.
    #expect((0.85...1.15).contains(flops / counted))
  }

  @Test func withoutProfilingNothingIsRecorded() throws {
    let backend = try Machine.newBackend(.automatic)
    _ = try LinearWork(rows: 2, inputSize: 3, outputSize: 4).outcomes(on: backend)
    #expect(try backend.launches.isEmpty)
  }

  @Test func automaticFollowsTheDevice() throws {
    let type = try Machine.device.type
    #expect(try Machine.newBackend(.automatic).kernelForm == (type == .cpu ? .cpu : .gpu))
  }

  @Test(arguments: KernelForm.both)
  func aKernelIsAnotherOneInAnotherProgram(form: KernelForm) throws {
    let launcher = try Machine.backend(form).launcher
    let files = ["ops/reduce.cl"]
    let kernel = try launcher.kernel("sum_chunks", in: files)
    #expect(try launcher.kernel("sum_chunks", in: files) === kernel)
    #expect(try launcher.kernel("sum_chunks", in: ["common/philox.cl"] + files) !== kernel)
  }
}
