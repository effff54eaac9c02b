/// Which tensors of a program are a part of another's memory, so that nothing has to be copied.
///
/// A copy of elements that follow each other is none where they are read in their place, and where what is put
/// into a larger tensor is written there from the first. Both only where no instruction writes over elements that
/// are still read.
struct GraphParts {
  /// Where a storage lies: in which one, and from which element on.
  struct Place: Equatable {
    let storage: Int, offset: Int
  }

  /// The place of each storage: another one, which is no part itself, or its own from 0 on.
  private(set) var places: [Place]
  /// The copies that are none, by their places among the instructions.
  private(set) var copies: Set<Int> = []

  private let storages: [ProgramStorage]
  private let alignment: Int
  /// The storages that lie in one, itself among them.
  private var members: [[Int]]
  private var accesses: [[Access]]

  /// Some elements of a storage that an instruction reads, or writes.
  private struct Access {
    let time: Int
    let range: Range<Int>
    let writes: Bool
  }

  /// Of a tensor that so many instructions read or write, as one put together by a long loop, nothing is a part: each
  /// would be compared with each.
  private static let mostAccesses = 1000

  /// Finds the parts; they begin at multiples of `alignment` elements.
  init(_ instructions: [ProgramInstruction], storages: [ProgramStorage], alignment: Int) {
    self.storages = storages
    self.alignment = alignment
    places = storages.indices.map { Place(storage: $0, offset: 0) }
    members = storages.indices.map { [$0] }
    accesses = [[Access]](repeating: [], count: storages.count)
    for (time, instruction) in instructions.enumerated() {
      let written = Set(instruction.written)
      for storage in Set(instruction.storages) {
        let range = instruction.range(of: storage) ?? 0..<storages[storage].count
        accesses[storage].append(
          Access(time: time, range: range, writes: written.contains(storage)))
      }
    }
    for (time, instruction) in instructions.enumerated() {
      guard case .copy(let x, let from, let y, let into, accumulates: false) = instruction,
        x != y, let source = from.run, let target = into.run, source.count > 0,
        accesses[x].count <= Self.mostAccesses, accesses[y].count <= Self.mostAccesses
      else { continue }
      if readsInPlace(time, x, source, y, target) || writesInPlace(time, x, source, y, target) {
        copies.insert(time)
      }
    }
  }

  /// Has y, which is a copy of a part of x and nothing else, be that part.
  private mutating func readsInPlace(
    _ time: Int, _ x: Int, _ source: Range<Int>, _ y: Int, _ target: Range<Int>
  ) -> Bool {
    let place = Place(
      storage: places[x].storage, offset: places[x].offset + source.lowerBound)
    guard isAlone(y), target == 0..<storages[y].count,
      accesses[y].allSatisfy({ $0.time == time || $0.time > time && !$0.writes }),
      let last = accesses[y].last?.time, place.offset.isMultiple(of: alignment),
      !meets(place, count: source.count, where: { $0.writes && $0.time > time && $0.time <= last })
    else { return false }
    move(y, to: place)
    return true
  }

  /// Has x, which is copied whole into y, be written there.
  private mutating func writesInPlace(
    _ time: Int, _ x: Int, _ source: Range<Int>, _ y: Int, _ target: Range<Int>
  ) -> Bool {
    let place = Place(storage: places[y].storage, offset: places[y].offset + target.lowerBound)
    let times = members[x].flatMap { accesses[$0].map(\.time) }
    guard storages[x].isTemporary, places[x].storage == x, source == 0..<storages[x].count,
      storages[place.storage].isTemporary || storages[place.storage].isKept, place.storage != x,
      accesses[x].allSatisfy({ !$0.writes || $0.time < time }),
      accesses[x].contains(where: \.writes),
      let first = times.min(), let last = times.max(), place.offset.isMultiple(of: alignment),
      members[x].allSatisfy({ places[$0].offset.isMultiple(of: alignment) }),
      !meets(
        place, count: source.count,
        where: { access in
          access.time >= first && access.time <= last && access.time != time
            && (access.writes || access.time < time)
        })
    else { return false }
    for member in members[x] {
      move(member, to: Place(storage: place.storage, offset: place.offset + places[member].offset))
    }
    return true
  }

  /// Whether a storage is a temporary one, no part and without parts.
  private func isAlone(_ storage: Int) -> Bool {
    storages[storage].isTemporary && members[storage] == [storage]
  }

  /// Whether one of some accesses is to an element of the `count` from a place on.
  private func meets(_ place: Place, count: Int, where counts: (Access) -> Bool) -> Bool {
    members[place.storage].contains { member in
      let begin = place.offset - places[member].offset
      return accesses[member].contains {
        !copies.contains($0.time) && counts($0) && $0.range.overlaps(begin..<begin + count)
      }
    }
  }

  private mutating func move(_ storage: Int, to place: Place) {
    places[storage] = place
    members[storage] = []
    members[place.storage].append(storage)
  }
}

extension ProgramInstruction {
  /// The elements of a storage that it reads or writes where a view says so; nil for all.
  fileprivate func range(of storage: Int) -> Range<Int>? {
    let views: [StridedView]
    switch self {
    case .copy(let x, let from, let y, let into, _):
      views = (x == storage ? [from] : []) + (y == storage ? [into] : [])
    case .elementwise(_, let inputs, let y, _):
      guard y != storage else { return nil }
      views = inputs.filter { $0.0 == storage }.map(\.1)
    default: return nil
    }
    let bounds = views.compactMap(\.bounds)
    guard let least = bounds.map(\.lowerBound).min(), let most = bounds.map(\.upperBound).max()
    else { return nil }
    return least..<most + 1
  }
}

extension StridedView {
  /// The places of its elements, where they follow each other in order.
  fileprivate var run: Range<Int>? {
    let own = Self.strides(of: extents)
    guard extents.indices.allSatisfy({ extents[$0] == 1 || strides[$0] == own[$0] }) else {
      return nil
    }
    return offset..<offset + count
  }
}
