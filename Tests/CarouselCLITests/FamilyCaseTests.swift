import Carousel
import Foundation
import Testing

@Suite struct FamilyCaseTests {
  private static func configurations(_ cases: [any ComparisonCase]) -> [RecurrentComparison] {
    cases.compactMap { $0 as? RecurrentComparison }
  }

  @Test(arguments: [("standard", 1), ("tiny", 2), ("all", 2)])
  func everyOptionIsTouched(set: String, times: Int) throws {
    let cases = Self.configurations(
      set == "tiny"
        ? ComparisonCases.tiny : set == "all" ? ComparisonCases.all : ComparisonCases.standard)
    func expectTouched(_ what: String, _ holds: (RecurrentComparison) -> Bool) {
      #expect(cases.count(where: holds) >= times, "\(what)")
    }
    for cell in Cell.allCases {
      func expectTouchedOfCell(_ what: String, _ holds: (RecurrentConfiguration) -> Bool) {
        expectTouched("\(cell) \(what)") { $0.cell == cell && holds($0.configuration) }
      }
      expectTouchedOfCell("lengths") { _ in true }
      for direction in Direction.allCases {
        expectTouchedOfCell("\(direction)") { $0.direction == direction }
      }
      for bias in BiasMode.allCases {
        expectTouched("\(bias)") { $0.configuration.options.bias == bias }
      }
      if cell.has(.recurrence) {
        expectTouchedOfCell("diagonal") { $0.options.recurrence == .diagonal }
      }
      expectTouched("\(cell) blocks, norm or noise, backward") {
        let options = $0.configuration.options
        let isBlocks = if case .blocks = options.recurrence { true } else { false }
        return $0.cell == cell && $0.training
          && (isBlocks || options.layerNorm || options.recurrentDropout > 0
            || options.zoneoutHidden > 0 || options.dropConnect > 0)
      }
      expectTouchedOfCell("layers") { $0.layers > 1 }
      for name in cell.holdableGates {
        expectTouchedOfCell("override \(name)") { $0.options.overrides[name] != nil }
      }
      expectTouched("\(cell) inference") { $0.cell == cell && !$0.training }
      expectTouched("\(cell) lengths 0 and T") {
        $0.cell == cell && $0.lengths?.contains(0) == true
          && $0.lengths?.contains($0.sequenceLength) == true
          && $0.lengths?.sorted() != $0.lengths
      }
    }
    for merge in Merge.allCases {
      expectTouched("\(merge)") {
        $0.configuration.directions == 2 && $0.configuration.merge == merge
      }
    }
    for function in Activation.Function.allCases where function != .constant {
      expectTouched("\(function)") { work in
        work.configuration.cell.activationNames.contains {
          work.configuration.options.activation(of: $0, in: work.configuration.cell).function
            == function
        }
      }
    }
    for gate in [ForgetGate.own, .coupled, .input, .output] {
      expectTouched("\(gate)") { $0.cell == .lstm && $0.configuration.options.forgetGate == gate }
    }
    expectTouched("constant decay") {
      if case .constant = $0.configuration.options.forgetGate { true } else { false }
    }
    // A forget bias is no part of an equation.
    for option in CellOption.allCases where option != .forgetBias {
      expectTouched("\(option.words), backward") {
        $0.training && $0.configuration.options.used.contains(option)
      }
    }
    expectTouched("blocks, backward") {
      if case .blocks = $0.configuration.options.recurrence { $0.training } else { false }
    }
    expectTouched("expected zoneout") { !$0.training && $0.configuration.options.zoneoutHidden > 0 }
    expectTouched("dropout") { $0.configuration.dropout > 0 }
    expectTouched("zero states") { !$0.givenStates }
    expectTouched("no final gradients") { !$0.finalGradients }
    for work in cases { try work.configuration.validate() }
  }

  @Test func randomCasesKeepTheirBoundsAndMakeSense() throws {
    var seen: Set<RecurrentConfiguration> = []
    for seed in 0..<500 as Range<UInt64> {
      let work = ComparisonCases.random(seed: seed)
      let configuration = work.configuration
      try configuration.validate()
      #expect(1...20 ~= work.sequenceLength && 1...9 ~= work.batchSize)
      #expect(1...40 ~= configuration.inputSize && 1...40 ~= configuration.hiddenSize)
      #expect(1...3 ~= configuration.layers)
      #expect(work.lengths?.allSatisfy { 0...work.sequenceLength ~= $0 } ?? true)
      seen.insert(configuration)
    }
    #expect(seen.count > 485)
    #expect(Set(seen.map(\.cell)) == Set(Cell.allCases))
    #expect(Set(seen.map(\.options.forgetGate)).count > 4)
    let options = seen.map(\.options)
    for (what, count) in [
      ("reset before", options.count { $0.gruReset == .before }),
      ("projection", options.count { $0.projectionSize != nil }),
      ("blocks", options.count { if case .blocks = $0.recurrence { true } else { false } }),
      ("layer normalisation", options.count { $0.layerNorm }),
      ("recurrent dropout", options.count { $0.recurrentDropout > 0 }),
      ("zoneout of h", options.count { $0.zoneoutHidden > 0 }),
      ("zoneout of c", options.count { $0.zoneoutCell > 0 }),
      ("DropConnect", options.count { $0.dropConnect > 0 }),
    ] {
      #expect(count > 5, "\(what): \(count)")
    }
  }

  @Test func randomCaseKIsTheOnlyCaseOfItsOwnSeed() throws {
    let many = try Command(
      ["compare", "--random", "5", "--seed", "40", "--device", "reference", "--json"])
    let one = try Command(
      ["compare", "--random", "1", "--seed", "43", "--device", "reference", "--json"])
    #expect(many.status == 0 && one.status == 0)
    let cases = try #require(try many.json["cases"] as? [NSDictionary])
    let alone = try #require(try one.json["cases"] as? [NSDictionary])
    #expect(cases.count == 5 && alone.count == 1)
    #expect(cases[3] == alone[0])
    #expect(cases[2] != alone[0])
  }

  @Test func valuesOfRandomCasesStayFinite() throws {
    for seed in 1...100 as ClosedRange<UInt64> {
      let work = ComparisonCases.random(seed: seed)
      // Float32 ends at 3.4e38.
      let largest = work.scale > 1e3 ? 1e37 : 1e20
      for (name, tensor) in try work.tensors(on: ReferenceBackend(), seed: seed) {
        #expect(
          tensor.values.allSatisfy { $0.magnitude < largest }, "seed \(seed), \(name)")
      }
    }
  }
}
