import CarouselModel
import CarouselReference
import Testing

@Suite struct ParameterStoreTests {
  private let backend = ReferenceBackend(sliceAlignment: 32)
  private let descriptions = [
    ParameterDescription("a", [3, 5], .uniform(0.5)), ParameterDescription("b", [33], .normal(2)),
    ParameterDescription("c", [], .constant(7)),
  ]

  private func makeStore(seed: UInt64? = 1) throws -> ParameterStore<ReferenceBackend> {
    try ParameterStore(descriptions, backend: backend, seed: seed)
  }

  @Test func tensorsBeginAtAlignedOffsetsWithZerosBetween() throws {
    let store = try makeStore()
    #expect(store.count == 32 + 64 + 32)
    let all = backend.values(store.values)
    let tensors = try store.tensors()
    #expect(tensors.map(\.name) == ["a", "b", "c"])
    for ((_, tensor), offset) in zip(tensors, [0, 32, 96]) {
      #expect(Array(all[offset..<offset + tensor.shape.count]) == tensor.values)
      #expect(tensor.values.allSatisfy { $0 != 0 })
    }
    #expect((Array(all[15..<32]) + all[65..<96] + all[97...]).allSatisfy { $0 == 0 })
  }

  @Test func aViewAliasesTheWholeAndOutlivesIt() throws {
    var store: ParameterStore<ReferenceBackend>? = try makeStore()
    let view = try #require(try store?.gradient("b"))
    try backend.fill(view, count: 33, with: 3)
    let all = backend.values(try #require(store?.gradients))
    #expect(all.indices.allSatisfy { all[$0] == (32..<65 ~= $0 ? 3 : 0) })
    store = nil
    #expect(backend.values(view) == [Double](repeating: 3, count: 33))
  }

  @Test func theSeedDecidesTheInitialValues() throws {
    let values = try [1, 1, 2].map { backend.values(try makeStore(seed: $0).values) }
    #expect(values[0] == values[1])
    #expect(values[0] != values[2])
    #expect(backend.values(try makeStore(seed: nil).values).allSatisfy { $0 == 0 })
  }

  @Test func initialValuesDoNotDependOnTheAlignment() throws {
    let dense = try ParameterStore(descriptions, backend: ReferenceBackend(), seed: 1)
    #expect(dense.count == 15 + 33 + 1)
    #expect(try dense.tensors().map(\.tensor) == makeStore().tensors().map(\.tensor))
  }

  @Test func loadedTensorsReplaceAll() throws {
    let source = try makeStore(seed: 4).tensors()
    let store = try makeStore()
    try store.load(Dictionary(uniqueKeysWithValues: source), source: "file")
    #expect(try store.tensors().map(\.tensor) == source.map(\.tensor))
  }

  @Test func floatsBecomeDoublesInTheReferenceAlone() throws {
    let floats = descriptions.map { description in
      let values = normal(description.shape.count, stream: 2).map(Float.init)
      return (description.name, Tensor(description.shape, .float32(values)))
    }
    let store = try makeStore()
    try store.load(Dictionary(uniqueKeysWithValues: floats), source: "file")
    for ((_, found), (_, expected)) in zip(try store.tensors(), floats) {
      #expect(found == expected && found.elementType == .float64)
    }
  }

  @Test(arguments: ["missing", "shape", "nan", "infinite"])
  func aLoadThatFailsNamesTheTensorAndChangesNothing(damage: String) throws {
    let store = try makeStore()
    let before = try store.tensors().map(\.tensor)
    var tensors = Dictionary(uniqueKeysWithValues: try makeStore(seed: 4).tensors())
    switch damage {
    case "missing": tensors["b"] = nil
    case "shape": tensors["b"] = Tensor([3, 11], normal(33, stream: 1))
    case "nan": tensors["b"]?[32] = .nan
    default: tensors["b"]?[0] = .infinity
    }
    let error = try #require(throws: CarouselError.self) {
      try store.load(tensors, source: "model.safetensors")
    }
    #expect(error.kind == .badData)
    #expect(error.message.contains("model.safetensors") && error.message.contains("'b'"))
    #expect(try store.tensors().map(\.tensor) == before)
  }

  @Test func moreThanTheMemoryIsAnErrorOfTheDevice() throws {
    let error = try #require(throws: CarouselError.self) {
      try backend.makeBuffer(count: Int.max / 16)
    }
    #expect(error.kind == .noDevice)
  }
}
