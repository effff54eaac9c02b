import CarouselFormats
import CarouselModel
import Foundation

/// What has to be the same on every rank, found out before anything is computed together.
struct Handshake {
  /// What is compared, in the order in which a difference is told, each with its value in words.
  private var items: [(name: String, value: String)] = []

  /// Adds something that every rank has to have alike.
  mutating func add(_ name: String, _ value: String) { items.append((name, value)) }

  /// Throws the same usage error on every rank where one has something else than rank 0.
  func check(_ ranks: any Communicator) throws {
    guard ranks.count > 1 else { return }
    let places = try ranks.gather(Array(ranks.place.utf8)).map {
      String(decoding: $0, as: UTF8.self)
    }
    let own = JSON.encode(items.map { [$0.name, $0.value] })
    let all = try ranks.gather(Array(own.utf8)).map { bytes in
      (try? JSONDecoder().decode([[String]].self, from: Data(bytes))) ?? []
    }
    for (rank, found) in all.enumerated() where found != all[0] {
      let index = zip(found, all[0]).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
      let (a, b) = (all[0][index], found[index])
      throw CarouselError(
        .usage,
        "rank \(rank) on \(places[rank]) has another \(a[0]) than rank 0 on \(places[0]): "
          + "\(Self.difference(b[1], a[1])); every rank needs the same")
    }
  }

  /// Two values, or of long ones where they differ.
  private static func difference(_ a: String, _ b: String) -> String {
    guard max(a.count, b.count) > 120 else { return "\(a), not \(b)" }
    let same = zip(a, b).prefix { $0 == $1 }.count
    func part(_ text: String) -> String {
      "…" + text.dropFirst(max(same - 40, 0)).prefix(80) + "…"
    }
    return "\(part(a)), not \(part(b))"
  }

  /// The program that runs: its size, and a hash of numbers taken from all over its file.
  static let program: String = {
    guard
      let data = try? Data(
        contentsOf: URL(fileURLWithPath: "/proc/self/exe"), options: .mappedIfSafe)
    else { return "unknown" }
    var hash = DataHash()
    data.withUnsafeBytes { bytes in
      let words = bytes.count / 8
      for index in stride(from: 0, to: words, by: max(words / 100_000, 1)) {
        hash.add(bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
    }
    return "\(data.count) bytes with the hash \(hash.text)"
  }()
}

extension Trainer {
  /// Throws where a rank computes with other settings, data, weights or numbers than rank 0.
  func shakeHands() throws {
    guard ranks.count > 1 else { return }
    var handshake = Handshake()
    if ranks.hasOwnProcess { handshake.add("program", Handshake.program) }
    handshake.add("task", task.rawValue)
    handshake.add("settings", JSON.encode(settings))
    handshake.add(
      "text", identity.map { "\($0.byteCount) bytes with the hash \($0.hash)" } ?? "none")
    handshake.add("data", dataDescription.map { "data with the hash \($0.hash)" } ?? "none")
    handshake.add("network", JSON.encode(network.configuration))
    let (backend, store) = (network.backend, network.parameters)
    handshake.add("precision", backend.record.precision ?? backend.elementType.rawValue)
    handshake.add("form of the kernels", backend.record.kernels ?? "none")
    handshake.add("layout of parameters", "\(store.count) numbers")
    handshake.add("position", "step \(position.step)")
    var hash = DataHash()
    for value in try backend.read(store.values, count: store.count) { hash.add(value.bitPattern) }
    handshake.add("set of weights", "weights with the hash \(hash.text)")
    try handshake.check(ranks)
  }
}
