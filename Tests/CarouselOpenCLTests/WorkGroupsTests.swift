import Testing

@testable import CarouselOpenCL

/// How work-items are shared among the cores of a CPU.
@Suite struct WorkGroupsTests {
  private func size(_ global: [Int], units: Int = 2, work: Double = 1e7) -> [Int]? {
    WorkGroups.size(global, units: units, flops: work, bytes: 0)
  }

  @Test func groupsDivideWorkAndAreEnoughForEveryCore() throws {
    for global in [[1], [16], [17], [3200], [6000, 1], [16, 1000], [1, 640_000], [4096, 3, 5]] {
      for units in [2, 3, 64] {
        let local = try #require(size(global, units: units))
        #expect(local.count == global.count)
        #expect(zip(global, local).allSatisfy { $0.isMultiple(of: $1) }, "\(global) \(local)")
        let (items, together) = (global.reduce(1, *), local.reduce(1, *))
        #expect(together <= 1024)
        #expect(items / together >= min(items, 8 * units), "\(global) \(local)")
      }
    }
    #expect(size([16]) == [1])
    #expect(size([3200]) == [200])
    #expect(size([16, 1000]) == [16, 50])
  }

  @Test func littleWorkStaysWithOneCore() {
    #expect(size([3200], work: 1e5) == nil)
    #expect(size([3200], units: 1) == nil)
    #expect(WorkGroups.size([3200], units: 2, flops: 0, bytes: 1e7) != nil)
  }

  /// Prime numbers of items too: groups of one would be as many as these.
  @Test func coveringGroupsAreAsLargeAsOthers() {
    for items in [1, 2, 17, 1024, 1025, 4099, 20_903, 1_048_583] {
      for (units, work) in [(1, 1e7), (2, 1e7), (64, 1e7), (2, 1e3)] {
        let (count, size) = WorkGroups.covering(items: items, units: units, flops: 0, bytes: work)
        let least = work > 1e6 && units > 1 ? min(items, 8 * units) : 1
        #expect(count.isMultiple(of: size) && count >= items && size <= 1024)
        #expect(count / size <= max(least, items / 1024 + 1), "\(items): \(count / size) groups")
        // Nearly every group has work, so that no core is without.
        #expect(2 * ceilDivide(items, size) >= least, "\(items): \(count) in groups of \(size)")
      }
    }
  }
}
