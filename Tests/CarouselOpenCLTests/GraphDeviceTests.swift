import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Every operator of a graph on the device, in both forms of the kernels, against the reference.
@MainActor @Suite(.device)
struct GraphDeviceTests {
  @Test(arguments: GraphCase.all.indices)
  func everyOperatorAgrees(index: Int) throws {
    let item = GraphCase.all[index]
    let expected = try item.tensors(on: ReferenceBackend())
    for form in KernelForm.both {
      let actual = try item.tensors(on: Machine.backend(form))
      try #require(actual.map(\.name) == expected.map(\.name))
      for (a, r) in zip(actual, expected) {
        let error = nrms(a.tensor.values, r.tensor.values)
        #expect(error <= 80 * 0x1p-23, "\(form) \(item.name) \(a.name): nrms \(error)")
      }
    }
  }

  @Test func aPassMayBeRepeatedToTheBit() throws {
    for item in GraphCase.all.filter({ $0.name.hasPrefix("convolution") }) {
      let backend = try Machine.backend(.cpu)
      #expect(
        try item.tensors(on: backend).map(\.tensor) == item.tensors(on: backend).map(\.tensor))
    }
  }
}
