import CarouselModel
import CarouselOpenCL
import OpenCLDriver
import Testing

@MainActor @Suite(.device)
struct MemoryTests {
  let backend: OpenCLBackend

  init() throws { backend = try Machine.backend(.cpu) }

  @Test func aNewBufferIsZeroEvenWhereAnotherOneWas() throws {
    for count in [1, 15, 1000] {
      _ = try backend.output(count)
      let buffer = try backend.makeBuffer(count: count + guardCount)
      #expect(try backend.read(buffer, count: count + guardCount) == numbers(0, count + guardCount))
      #expect(try backend.makeIndexBuffer(count: count).values.allSatisfy { $0 == 0 })
    }
  }

  private func numbers(_ value: Double, _ count: Int) -> [Double] {
    [Double](repeating: value, count: count)
  }

  @Test func writingRoundsToFloat32() throws {
    let values = [1.0 / 3, -1e300, .leastNonzeroMagnitude, 0x1.000001p0, -0.0]
    let buffer = try backend.input(values)
    let read = try backend.read(buffer, count: values.count)
    #expect(read == values.map { Double(Float($0)) })
    #expect(read[4].sign == .minus)
  }

  /// A subnormal number and the sign of zero too.
  @Test func floatsArriveAndComeBackWithTheirBits() throws {
    let floats: [Float] = [1 / 3, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0, 1]
    let buffer = try backend.makeBuffer(count: 6)
    try backend.write(Tensor([5], .float32(floats)), to: buffer)
    let read = try backend.readTensor(buffer, [3, 2])
    guard case .float32(let result) = read.elements else {
      Issue.record("\(read.elementType)")
      return
    }
    #expect(result.map(\.bitPattern) == (floats + [0]).map(\.bitPattern))
    let apart = try backend.makeBuffer(count: 5)
    try backend.write(Tensor([5], floats.map(Double.init)), to: apart)
    #expect(try backend.readTensor(apart, [5]) == Tensor([5], .float32(floats)))
  }

  @Test func copiesAndFillsTouchTheFirstElementsAlone() throws {
    let source = try backend.input([1, 2, 3, 4, 5])
    let destination = try backend.input([-1, -2, -3, -4, -5])
    try backend.copy(source, to: destination, count: 3)
    #expect(try backend.read(destination, count: 5) == [1, 2, 3, -4, -5])
    try backend.fill(destination, count: 2, with: 0.5)
    #expect(try backend.read(destination, count: 5) == [0.5, 0.5, 3, -4, -5])
    #expect(try backend.read(source, count: 5) == [1, 2, 3, 4, 5])
  }

  @Test func aSliceAliasesItsParentAndOutlivesIt() throws {
    let alignment = backend.sliceAlignment
    var parent: OpenCLBackend.Buffer? = try backend.makeBuffer(count: 3 * alignment)
    let slice = try backend.slice(try #require(parent), offset: alignment, count: 2)
    try backend.write([7.0, 8.0], to: slice)
    let all = try backend.read(try #require(parent), count: 3 * alignment)
    #expect(
      all.indices.allSatisfy {
        all[$0] == ($0 == alignment ? 7 : $0 == alignment + 1 ? 8 : 0)
      })
    parent = nil
    _ = try backend.output(3 * alignment)
    #expect(try backend.read(slice, count: 2) == [7, 8])
  }

  @Test(arguments: [1 << 40, 1 << 58])
  func aRequestBeyondTheDeviceIsRefusedAndTheBackendGoesOn(count: Int) throws {
    let error = #expect(throws: OpenCLError.self) { try backend.makeBuffer(count: count) }
    #expect(error?.kind == .memory)
    #expect(error?.description.contains(backend.name) == true)
    let buffer = try backend.input([1, 2])
    #expect(try backend.read(buffer, count: 2) == [1, 2])
  }

  @Test func aReserveBeyondTheDeviceIsRefused() {
    let layer = RecurrentLayer(cell: .lstm, inputSize: 1, hiddenSize: 1 << 22)
    let error = #expect(throws: OpenCLError.self) {
      try backend.makeReserve(
        for: layer, sequenceLength: 1 << 10, batchSize: 1 << 10, training: true)
    }
    #expect(error?.kind == .memory)
  }
}
