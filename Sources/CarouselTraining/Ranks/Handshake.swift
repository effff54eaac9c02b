import CarouselFormats
import CarouselModel
import Foundation

/// What has to be the same on every rank, found out before anything is computed together.
struct Handshake {
  /// What is compared, in the order in which a difference is told, each with its value in words.
  private var items: [(name: String, value: String)] = []

  /// Begins with the program, where each rank is a process.
  init(_ ranks: any Communicator) {
    if ranks.hasOwnProcess { add("program", Handshake.program) }
  }

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

  /// A file: its size, and a hash of all its bytes.
  static func contents(_ path: String) -> String {
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    else { return "unknown" }
    var hash = DataHash()
    data.withUnsafeBytes { bytes in
      let words = bytes.count / 8
      for index in 0..<words {
        hash.add(bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      for byte in bytes[(words * 8)...] { hash.add(UInt64(byte)) }
    }
    return "\(data.count) bytes with the hash \(hash.text)"
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

extension Handshake {
  /// Adds how a backend computes, and the parameters in a store under a name.
  mutating func add<B: Backend>(_ store: ParameterStore<B>, name: String = "set of weights") throws
  {
    let backend = store.backend
    add("precision", backend.record.precision ?? backend.elementType.rawValue)
    add("form of the kernels", backend.record.kernels ?? "none")
    add("layout of parameters", "\(store.count) numbers")
    var hash = DataHash()
    for value in try backend.read(store.values, count: store.count) { hash.add(value.bitPattern) }
    add(name, "weights with the hash \(hash.text)")
  }
}

extension Communicator {
  /// Throws the same usage error on every rank where one has another program, network, file or other numbers than
  /// rank 0: before a model is used by several ranks together.
  public func shakeHands<B: Backend>(over network: Network<B>, files: [String] = []) throws {
    guard count > 1 else { return }
    var handshake = Handshake(self)
    handshake.add("network", JSON.encode(network.configuration))
    for file in files { handshake.add("file '\(file)'", Handshake.contents(file)) }
    try handshake.add(network.parameters)
    try handshake.check(self)
  }
}

extension Trainer {
  func describe(_ handshake: inout Handshake) {
    handshake.add("task", task.rawValue)
    handshake.add("settings", JSON.encode(settings))
    for (name, identity) in [
      ("text", texts?.identity), ("text for --validation", texts?.heldOut?.validation),
      ("text for --test", texts?.heldOut?.test),
    ] {
      handshake.add(
        name, identity.map { "\($0.byteCount) bytes with the hash \($0.hash)" } ?? "none")
    }
    handshake.add("data", dataDescription.map { "data with the hash \($0.hash)" } ?? "none")
    handshake.add("network", JSON.encode(network.configuration))
  }
}

extension GraphTrainer {
  func describe(_ handshake: inout Handshake) throws {
    handshake.add("settings", JSON.encode(settings))
    handshake.add("data", "data with the hash \(parts.hash)")
    var hash = DataHash()
    for node in model.graph.nodes {
      hash.add([node.name, node.operation.name])
      hash.add((node.inputs + node.outputs).map { $0 ?? "" })
    }
    for (name, value) in model.graph.constants.sorted(by: { $0.key < $1.key }) {
      hash.add([name])
      for value in value.values { hash.add(value.bitPattern) }
    }
    handshake.add("graph", "a graph with the hash \(hash.text)")
    if model.fixedParameters.count > 0 {
      try handshake.add(model.fixedParameters, name: "set of fixed weights")
    }
  }
}
