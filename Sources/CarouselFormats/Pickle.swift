/// What a pickle builds out of the values that tensors need; nothing in it is ever executed.
///
/// A pickle is a program for a machine with a stack. This one knows its values, lists, tuples and dicts,
/// and hands everything else to a `PickleBuilder`, which refuses what it does not know. Containers are kept
/// in one array and referred to by their index, so that no depth of nesting ends the process.
struct Pickle {
  /// A value on the stack or in a container.
  enum Value {
    case none
    case flag(Bool)
    case integer(Int)
    case text(String)
    /// The name of something in Python: `collections.OrderedDict`.
    case global(String)
    /// A container, by its index.
    case container(Int)
    /// What the builder made, by its index there.
    case object(Int)
    /// A value that no tensor needs: a float, bytes, an integer of more than 64 bits.
    case other

    /// Whether it is Python's None.
    var isNone: Bool { if case .none = self { true } else { false } }
  }

  struct Container {
    enum Kind {
      case tuple, list, dict, set
    }
    var kind: Kind
    /// The elements; of a dict each key before its value.
    var items: [Value]
  }

  private(set) var containers: [Container] = []
  private var stack: [Value] = []
  private var marks: [Int] = []
  private var memo: [Int: Value] = [:]
  private var reader: ByteReader

  /// The most values that may wait on the stack.
  private static let stackLimit = 1 << 20

  init(_ bytes: [UInt8]) {
    reader = ByteReader(bytes, of: "the pickle")
  }

  /// Runs the pickle and returns its result.
  mutating func run(_ builder: inout some PickleBuilder) throws(FileDamage) -> Value {
    while true {
      let code = try reader.read(UInt8.self)
      if code == UInt8(ascii: ".") { return try pop() }
      try step(code, &builder)
      guard stack.count <= Self.stackLimit else {
        throw FileDamage("the pickle has more than \(Self.stackLimit) values on its stack")
      }
    }
  }

  /// How many bytes were read.
  var position: Int { reader.position }

  /// Whether a dict has True under a key.
  func isTrue(_ key: String, of value: Value) -> Bool {
    guard case .container(let index) = value, containers[index].kind == .dict else { return false }
    let items = containers[index].items
    return stride(from: 0, to: items.count - 1, by: 2).contains { place in
      if case .text(key) = items[place], case .flag(true) = items[place + 1] { true } else { false }
    }
  }

  /// The elements of a tuple or list; nil for another value.
  func items(_ value: Value) -> [Value]? {
    guard case .container(let index) = value, [.tuple, .list].contains(containers[index].kind)
    else { return nil }
    return containers[index].items
  }

  private mutating func step(
    _ code: UInt8, _ builder: inout some PickleBuilder
  ) throws(FileDamage) {
    switch (code, Unicode.Scalar(code)) {
    case (0x80, _): reader.skip(1)  // PROTO
    case (0x95, _): reader.skip(8)  // FRAME
    case (_, "("): marks.append(stack.count)
    case (_, "0"): _ = try pop()
    case (_, "1"): _ = try popToMark()
    case (_, "2"): stack.append(try top())
    case (_, "N"): stack.append(.none)
    case (0x88, _): stack.append(.flag(true))
    case (0x89, _): stack.append(.flag(false))
    case (_, "J"), (_, "K"), (_, "M"), (0x8A, _), (0x8B, _), (_, "G"): try number(code)
    case (_, "X"), (0x8C, _), (0x8D, _), (_, "T"), (_, "U"), (_, "B"), (_, "C"), (0x8E, _):
      try text(code)
    case (_, "q"), (_, "r"), (0x94, _), (_, "h"), (_, "j"): try remember(code)
    case (_, ")"), (_, "]"), (_, "}"), (0x8F, _), (_, "t"), (_, "l"), (_, "d"), (0x85...0x87, _):
      try container(code)
    case (_, "a"), (_, "e"), (_, "s"), (_, "u"), (0x90, _): try fill(code)
    case (_, "c"), (0x93, _):
      let name = code == 0x93 ? try stackGlobal() : try "\(line()).\(line())"
      try builder.check(global: name)
      stack.append(.global(name))
    case (_, "R"), (0x81, _):
      let arguments = try pop()
      guard case .global(let name) = try pop(), let items = items(arguments) else { throw damage }
      stack.append(try builder.call(name, items, &self))
    case (_, "b"):
      // The attributes of an object, which no tensor needs.
      _ = try pop()
      _ = try top()
    case (_, "Q"):
      stack.append(try builder.persistent(try pop(), self))
    default:
      throw FileDamage(
        "the pickle has the instruction \(code) at byte \(reader.position - 1), which no tensors need"
      )
    }
  }

  private var damage: FileDamage {
    FileDamage("the pickle is damaged at byte \(reader.position - 1)")
  }

  private func top() throws(FileDamage) -> Value {
    guard let value = stack.last, stack.count > marks.last ?? 0 else { throw damage }
    return value
  }

  private mutating func pop() throws(FileDamage) -> Value {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func popToMark() throws(FileDamage) -> [Value] {
    guard let mark = marks.popLast() else { throw damage }
    let values = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return values
  }

  /// The bytes up to the next line feed.
  private mutating func line() throws(FileDamage) -> String {
    var bytes: [UInt8] = []
    while true {
      let byte = try reader.read(UInt8.self)
      if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(byte)
    }
  }

  private mutating func stackGlobal() throws(FileDamage) -> String {
    guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
      throw damage
    }
    return "\(module).\(name)"
  }

  private mutating func number(_ code: UInt8) throws(FileDamage) {
    switch Unicode.Scalar(code) {
    case "J": stack.append(.integer(Int(try reader.read(Int32.self))))
    case "K": stack.append(.integer(Int(try reader.read(UInt8.self))))
    case "M": stack.append(.integer(Int(try reader.read(UInt16.self))))
    case "G":
      reader.skip(8)
      stack.append(.other)
    default:
      let count =
        code == 0x8A ? Int(try reader.read(UInt8.self)) : Int(try reader.read(Int32.self))
      let bytes = try reader.bytes(count)
      guard count <= 8 else { return stack.append(.other) }
      let isNegative = (bytes.last ?? 0) >= 0x80
      stack.append(
        .integer(bytes.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) }))
    }
  }

  private mutating func text(_ code: UInt8) throws(FileDamage) {
    let count: Int
    switch (code, Unicode.Scalar(code)) {
    case (0x8C, _), (_, "U"), (_, "C"): count = Int(try reader.read(UInt8.self))
    case (0x8D, _), (0x8E, _): count = Int(clamping: try reader.read(UInt64.self))
    default: count = Int(try reader.read(UInt32.self))
    }
    let bytes = try reader.bytes(count)
    if [UInt8(ascii: "B"), UInt8(ascii: "C"), 0x8E].contains(code) {
      return stack.append(.other)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw damage }
    stack.append(.text(text))
  }

  private mutating func remember(_ code: UInt8) throws(FileDamage) {
    switch (code, Unicode.Scalar(code)) {
    case (_, "q"): memo[Int(try reader.read(UInt8.self))] = try top()
    case (_, "r"): memo[Int(try reader.read(UInt32.self))] = try top()
    case (0x94, _): memo[memo.count] = try top()
    default:
      let index =
        code == UInt8(ascii: "h")
        ? Int(try reader.read(UInt8.self)) : Int(try reader.read(UInt32.self))
      guard let value = memo[index] else { throw damage }
      stack.append(value)
    }
  }

  /// Keeps a new container.
  mutating func make(_ kind: Container.Kind, _ items: [Value] = []) -> Value {
    containers.append(Container(kind: kind, items: items))
    return .container(containers.count - 1)
  }

  private mutating func container(_ code: UInt8) throws(FileDamage) {
    switch (code, Unicode.Scalar(code)) {
    case (_, ")"): stack.append(make(.tuple))
    case (_, "]"): stack.append(make(.list))
    case (_, "}"): stack.append(make(.dict))
    case (0x8F, _): stack.append(make(.set))
    case (_, "t"): stack.append(make(.tuple, try popToMark()))
    case (_, "l"): stack.append(make(.list, try popToMark()))
    case (_, "d"):
      let items = try popToMark()
      guard items.count.isMultiple(of: 2) else { throw damage }
      stack.append(make(.dict, items))
    default:
      var items: [Value] = []
      for _ in 0..<(code - 0x84) { items.insert(try pop(), at: 0) }
      stack.append(make(.tuple, items))
    }
  }

  /// Puts values into the container below them.
  private mutating func fill(_ code: UInt8) throws(FileDamage) {
    let items: [Value]
    let kind: Container.Kind
    switch Unicode.Scalar(code) {
    case "a": (kind, items) = (.list, [try pop()])
    case "e": (kind, items) = (.list, try popToMark())
    case "s":
      let value = try pop()
      (kind, items) = (.dict, [try pop(), value])
    case "u": (kind, items) = (.dict, try popToMark())
    default: (kind, items) = (.set, try popToMark())
    }
    guard case .container(let index) = try top(), containers[index].kind == kind,
      kind != .dict || items.count.isMultiple(of: 2)
    else { throw damage }
    containers[index].items += items
  }
}

/// Makes what a pickle names.
protocol PickleBuilder {
  /// Throws where this global is not known.
  func check(global: String) throws(FileDamage)
  /// What a call of a global is taken as.
  mutating func call(
    _ global: String, _ arguments: [Pickle.Value], _ pickle: inout Pickle
  ) throws(FileDamage) -> Pickle.Value
  /// What lies outside of the pickle under an identifier.
  mutating func persistent(
    _ identifier: Pickle.Value, _ pickle: Pickle
  ) throws(FileDamage) -> Pickle.Value
}
