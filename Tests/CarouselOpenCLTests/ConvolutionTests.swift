import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselOpenCL

/// Convolutions that copy no window, on the reference and both forms of the kernels.
@MainActor @Suite(.device)
struct ConvolutionTests {
  private struct Case: CustomTestStringConvertible {
    let convolution: DirectConvolution
    let hasBias: Bool, isAdded: Bool
    var testDescription: String { "\(convolution), bias \(hasBias), added \(isAdded)" }
  }

  /// Windows of `kernel` over planes `input`, with as much padding in front as behind.
  private nonisolated static func window(
    _ input: [Int], _ kernel: [Int], strides: [Int] = [1, 1], dilations: [Int] = [1, 1],
    padding: [Int] = [0, 0]
  ) -> Window {
    let output = (0..<2).map { axis in
      let span = dilations[axis] * (kernel[axis] - 1) + 1
      return (input[axis] + 2 * padding[axis] - span) / strides[axis] + 1
    }
    return Window(
      planes: 1, input: input, kernel: kernel, strides: strides, dilations: dilations,
      before: padding, output: output)
  }

  /// Each as it is and as its adjoint: every way to read a row, planes of one row, few channels and many, and
  /// sums longer than what is read at once.
  private nonisolated static let cases: [Case] = {
    let all: [(Window, batch: Int, groups: Int, inputs: Int, outputs: Int)] = [
      (window([5, 70], [1, 3], padding: [0, 1]), 1, 6, 1, 1),
      (window([4, 96], [1, 3], strides: [1, 2], padding: [0, 1]), 2, 3, 1, 1),
      (window([6, 33], [3, 3], padding: [1, 1]), 1, 2, 1, 5),
      (window([9, 40], [5, 1]), 1, 2, 7, 6),
      (window([7, 19], [1, 1]), 2, 1, 17, 13),
      (
        window([8, 50], [3, 2], strides: [2, 3], dilations: [2, 4], padding: [3, 2]), 2, 2, 3, 4
      ),
      (window([1, 1100], [1, 7], dilations: [1, 5], padding: [0, 15]), 1, 1, 2, 9),
      (window([1, 64], [1, 60], strides: [1, 2]), 1, 1, 9, 4),
      (window([3, 3], [3, 3], padding: [2, 2]), 1, 1, 2, 2),
      // Rows that are taken as one.
      (window([37, 8], [1, 3], padding: [0, 1]), 1, 3, 1, 1),
      (window([29, 32], [1, 4], strides: [1, 2], padding: [0, 1]), 2, 2, 3, 2),
      (window([11, 5], [3, 3], dilations: [2, 1], padding: [3, 1]), 1, 1, 2, 3),
      // Few windows over many channels.
      (window([1, 64], [1, 60], strides: [1, 4]), 1, 1, 9, 40),
      (window([1, 4], [1, 3], padding: [0, 1]), 2, 1, 70, 33),
      (window([3, 3], [3, 3]), 1, 1, 20, 40),
    ]
    let activations = DirectConvolution.Activation.allCases
    return all.enumerated().flatMap { index, item in
      [false, true].map { isAdjoint in
        var convolution = DirectConvolution(
          item.0, batch: item.batch, groups: item.groups,
          inputs: isAdjoint ? item.outputs : item.inputs,
          outputs: isAdjoint ? item.inputs : item.outputs, isAdjoint: isAdjoint)
        convolution.activation = activations[index % activations.count]
        return Case(
          convolution: convolution, hasBias: index.isMultiple(of: 2), isAdded: index % 4 > 1)
      }
    }
  }()

  /// What windows give and take, one element of one window after the other.
  private func expected(_ item: Case, x: [Double], weight: [Double], bias: [Double]?) -> [Double] {
    let convolution = item.convolution
    let (window, R, D) = (convolution.window, convolution.outputs, convolution.inputs)
    let (inside, counted) = (window.input[0] * window.input[1], window.output[0] * window.output[1])
    let (ySize, xSize) = convolution.isAdjoint ? (inside, counted) : (counted, inside)
    let taps = window.kernel[0] * window.kernel[1]
    var y = (0..<convolution.outputCount).map { bias?[$0 / ySize % (convolution.groups * R)] ?? 0 }
    for image in 0..<convolution.batch * convolution.groups {
      let group = image % convolution.groups
      for (r, d) in (0..<R).flatMap({ r in (0..<D).map { (r, $0) } }) {
        let first = convolution.isAdjoint ? (group * D + d) * R + r : (group * R + r) * D + d
        for o in 0..<counted {
          for k in 0..<taps {
            let h = window.place(
              axis: 0, window: o / window.output[1], element: k / window.kernel[1])
            let w = window.place(
              axis: 1, window: o % window.output[1], element: k % window.kernel[1])
            guard let h, let w else { continue }
            let place = h * window.input[1] + w
            let (p, q) = convolution.isAdjoint ? (place, o) : (o, place)
            y[(image * R + r) * ySize + p] +=
              weight[first * taps + k] * x[(image * D + d) * xSize + q]
          }
        }
      }
    }
    let sums = y.map {
      switch convolution.activation {
      case .none: $0
      case .relu: max($0, 0)
      case .sigmoid: 1 / (1 + exp(-$0))
      case .tanh: Foundation.tanh($0)
      case .silu: $0 / (1 + exp(-$0))
      }
    }
    return item.isAdded ? zip(sums, added(item)).map(+) : sums
  }

  /// What is added to a case's result.
  private func added(_ item: Case) -> [Double] {
    numbers(item.convolution.outputCount, stream: 4)
  }

  private func output<B: Backend>(
    _ item: Case, _ backend: B, x: [Double], weight: [Double], bias: [Double]?
  ) throws -> [Double] {
    let y = try backend.output(item.convolution.outputCount)
    try backend.convolve(
      item.convolution, backend.input(x), weight: backend.input(weight),
      bias: bias.map { try backend.input($0) },
      added: item.isAdded ? backend.input(added(item)) : nil, into: y)
    return try backend.outcome("y", y, item.convolution.outputCount).values
  }

  @Test(arguments: cases) private func everyWayToReadRowsAgrees(item: Case) throws {
    let convolution = item.convolution
    let (x, weight) = (
      numbers(convolution.inputCount, stream: 1), numbers(convolution.weightCount, stream: 2)
    )
    let bias = item.hasBias ? numbers(convolution.groups * convolution.outputs, stream: 3) : nil
    let expected = expected(item, x: x, weight: weight, bias: bias)
    let reference = try output(item, ReferenceBackend(), x: x, weight: weight, bias: bias)
    #expect(nrms(reference, expected) <= 0x1p-45)
    for form in KernelForm.both {
      let actual = try output(item, Machine.backend(form), x: x, weight: weight, bias: bias)
      #expect(nrms(actual, expected) <= 20 * 0x1p-23, "\(form)")
    }
  }

  /// A number that is none stays where a rectifier follows.
  @Test(arguments: KernelForm.both) func whatIsNoNumberStaysNone(form: KernelForm) throws {
    var convolution = DirectConvolution(
      Self.window([1, 40], [1, 1]), batch: 1, groups: 2, inputs: 1, outputs: 1, isAdjoint: false)
    convolution.activation = .relu
    var x = numbers(80, stream: 1)
    x[7] = .nan
    let item = Case(convolution: convolution, hasBias: false, isAdded: false)
    let y = try output(item, Machine.backend(form), x: x, weight: [1, -1], bias: nil)
    #expect(y.indices.filter { y[$0].isNaN } == [7])
  }

  /// A work-item has enough to do, and there are enough of them, whatever the sizes.
  @Test func theWorkIsDivided() {
    func division(_ convolution: DirectConvolution, isCPU: Bool = true) -> ConvolutionDivision {
      let steps = ConvolutionSteps(convolution)
      return ConvolutionDivision(
        steps,
        products: convolution.inputs * convolution.outputs * steps.kernel[0]
          * steps.kernel[1], rows: convolution.outputs,
        batch: convolution.batch * convolution.groups, isCPU: isCPU)
    }
    // Each channel by itself: several rows of a plane are one work-item's.
    let single = DirectConvolution(
      Self.window([1000, 32], [1, 3], padding: [0, 1]), batch: 1, groups: 64, inputs: 1, outputs: 1,
      isAdjoint: false)
    #expect(division(single).items == [2, 64, 1])
    #expect(division(single, isCPU: false).items == [32_000, 64, 1])
    // Few columns and many channels: the channels are shared out.
    let few = DirectConvolution(
      Self.window([1, 640], [1, 256], strides: [1, 128]), batch: 1, groups: 1, inputs: 1,
      outputs: 258, isAdjoint: false)
    #expect(division(few).items == [1, 1, 13])
    // Products of windows: tiles are shared out, or panels where tiles are few.
    let large = WindowDivision(tiles: 80, panels: 6, cores: 2)
    #expect((large.items, large.tilesPerItem, large.panelsPerItem) == ([7, 1], 12, 6))
    let small = WindowDivision(tiles: 1, panels: 9, cores: 2)
    #expect((small.items, small.tilesPerItem, small.panelsPerItem) == ([1, 2], 1, 5))
    // Rows that are joined: what reaches beyond one of them is told by the columns of a row.
    let joined = ConvolutionSteps(single, joinsRows: true)
    #expect((joined.input, joined.output) == ([1, 32_000], [1, 32_000]))
    #expect((joined.period, joined.limit, joined.begin, joined.ownBegin) == (32, 32, [0, -1], -1))
    // Planes that are crossed along their rows alone are one row.
    let flat = DirectConvolution(
      Self.window([1000, 96], [5, 1]), batch: 1, groups: 2, inputs: 32, outputs: 5,
      isAdjoint: false)
    #expect(ConvolutionSteps(flat).output == [1, 996 * 96])
  }
}
