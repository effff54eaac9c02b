import CarouselModel

/// Builds the tensors of a PyTorch file out of the few globals that they need.
struct PyTorchTensors: PickleBuilder {
  /// One tensor, which looks at elements of a storage.
  struct View {
    var storage: Storage
    var offset: Int
    var shape: Shape
    var strides: [Int]
  }

  /// A file of the archive with elements of one type.
  struct Storage {
    var key: String
    var type: StorageType
    var elementCount: Int
  }

  /// How elements are stored: a name, as safetensors has it, and the bytes of an element.
  struct StorageType {
    var name: String
    var width: Int
  }

  /// The values that the pickle's `object` indices refer to.
  private enum Object {
    case storage(Storage)
    case tensor(View)
  }

  private var objects: [Object] = []
  /// The bytes of an element of each storage, by its key.
  private(set) var storageWidths: [String: Int] = [:]

  private static let orderedDict = "collections.OrderedDict"
  private static let size = "torch.Size"
  private static let tensors: Set = [
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
  ]
  private static let parameters: Set = [
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
  ]
  private static let types: [String: StorageType] = [
    "Double": .init(name: "F64", width: 8), "Float": .init(name: "F32", width: 4),
    "Half": .init(name: "F16", width: 2), "BFloat16": .init(name: "BF16", width: 2),
    "Long": .init(name: "I64", width: 8), "Int": .init(name: "I32", width: 4),
    "Short": .init(name: "I16", width: 2), "Char": .init(name: "I8", width: 1),
    "Byte": .init(name: "U8", width: 1), "Bool": .init(name: "BOOL", width: 1),
    "ComplexFloat": .init(name: "C64", width: 8), "ComplexDouble": .init(name: "C128", width: 16),
  ]
  /// Types that have no storage class of their own: the tensor names them beside bytes.
  private static let bareTypes: [String: StorageType] = [
    "torch.uint16": .init(name: "U16", width: 2), "torch.uint32": .init(name: "U32", width: 4),
    "torch.uint64": .init(name: "U64", width: 8),
    "torch.float8_e4m3fn": .init(name: "F8_E4M3", width: 1),
    "torch.float8_e5m2": .init(name: "F8_E5M2", width: 1),
    "torch.float8_e4m3fnuz": .init(name: "F8_E4M3FNUZ", width: 1),
    "torch.float8_e5m2fnuz": .init(name: "F8_E5M2FNUZ", width: 1),
  ]
  private static let untyped = "torch.storage.UntypedStorage"

  private static func storageType(_ global: String) -> StorageType? {
    if global == untyped { return StorageType(name: "U8", width: 1) }
    guard global.hasPrefix("torch."), global.hasSuffix("Storage") else { return nil }
    return types[String(global.dropFirst(6).dropLast(7))]
  }

  func check(global: String) throws(FileDamage) {
    let isKnown =
      global == Self.orderedDict || global == Self.size || Self.tensors.contains(global)
      || Self.parameters.contains(global) || Self.storageType(global) != nil
      || Self.bareTypes[global] != nil
    guard isKnown else {
      throw FileDamage(
        "the pickle asks for '\(global)', expected only what tensors are made of; save the state_dict"
      )
    }
  }

  mutating func call(
    _ global: String, _ arguments: [Pickle.Value], _ pickle: inout Pickle
  ) throws(FileDamage) -> Pickle.Value {
    if global == Self.orderedDict {
      guard let pairs = arguments.first else { return pickle.make(.dict) }
      guard let pairs = pickle.items(pairs) else { throw Self.damage(global) }
      var items: [Pickle.Value] = []
      for pair in pairs {
        guard let pair = pickle.items(pair), pair.count == 2 else { throw Self.damage(global) }
        items += pair
      }
      return pickle.make(.dict, items)
    }
    if global == Self.size, let extents = arguments.first { return extents }
    if Self.parameters.contains(global), case .object(let index)? = arguments.first,
      case .tensor = objects[index]
    {
      return .object(index)
    }
    guard Self.tensors.contains(global) else { throw Self.damage(global) }
    return try tensor(global, arguments, pickle)
  }

  private mutating func tensor(
    _ global: String, _ arguments: [Pickle.Value], _ pickle: Pickle
  ) throws(FileDamage) -> Pickle.Value {
    guard arguments.count >= 4, case .object(let index) = arguments[0],
      case .storage(var storage) = objects[index], case .integer(let offset) = arguments[1],
      let extents = Self.integers(arguments[2], pickle),
      let strides = Self.integers(arguments[3], pickle), extents.count == strides.count
    else { throw Self.damage(global) }
    if arguments.count > 6, case .global(let type) = arguments[6] {
      guard let type = Self.bareTypes[type] else { throw Self.damage(global) }
      storage.elementCount /= type.width
      storage.type = type
    }
    // The element behind the last one that the tensor looks at.
    var (end, isTooLarge) = (offset, offset < 0 || extents.count > SafetensorsHeader.Limits().rank)
    for (extent, stride) in zip(extents, strides) {
      let (reach, overflow) = max(extent - 1, 0).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = end.addingReportingOverflow(reach)
      isTooLarge = isTooLarge || extent < 0 || stride < 0 || overflow || sumOverflow
      end = sum
    }
    let count = isTooLarge ? nil : Shape.count(of: extents)
    guard let count, end < storage.elementCount || count == 0 else {
      throw FileDamage(
        "a tensor of shape \(extents), strides \(strides) and offset \(offset) reaches beyond its "
          + "storage '\(storage.key)' of \(storage.elementCount) elements")
    }
    objects.append(
      .tensor(View(storage: storage, offset: offset, shape: Shape(extents), strides: strides)))
    return .object(objects.count - 1)
  }

  private static func integers(_ value: Pickle.Value, _ pickle: Pickle) -> [Int]? {
    guard let items = pickle.items(value) else { return nil }
    var result: [Int] = []
    for item in items {
      guard case .integer(let number) = item else { return nil }
      result.append(number)
    }
    return result
  }

  mutating func persistent(
    _ identifier: Pickle.Value, _ pickle: Pickle
  ) throws(FileDamage) -> Pickle.Value {
    guard let parts = pickle.items(identifier), parts.count >= 5, case .text("storage") = parts[0],
      case .global(let global) = parts[1], let type = Self.storageType(global),
      case .text(let key) = parts[2], case .integer(let elementCount) = parts[4], elementCount >= 0,
      storageWidths[key] ?? type.width == type.width
    else { throw Self.damage("storage") }
    // In files from before PyTorch 1.6 a storage may be a part of another.
    guard parts.count == 5 || parts[5].isNone else {
      throw FileDamage("the storage '\(key)' is a part of another; expected whole ones")
    }
    storageWidths[key] = type.width
    objects.append(.storage(Storage(key: key, type: type, elementCount: elementCount)))
    return .object(objects.count - 1)
  }

  private static func damage(_ global: String) -> FileDamage {
    FileDamage("the pickle gives '\(global)' what it does not take")
  }

  /// The tensors in what a pickle made, named by the keys that lead to them: `model.lstm.weight_hh_l0`.
  func named(
    _ root: Pickle.Value, in pickle: Pickle, limit: Int
  ) throws(FileDamage) -> [(String, View)] {
    var found = Found(limit: limit)
    try collect(root, name: "", depth: 0, pickle, &found)
    return found.tensors
  }

  /// The tensors found so far in the containers, and how many values were visited.
  private struct Found {
    let limit: Int
    var tensors: [(String, View)] = []
    var visits = 0
  }

  /// The longest name of a tensor, in bytes.
  private static let nameLimit = 1024

  private func collect(
    _ value: Pickle.Value, name: String, depth: Int, _ pickle: Pickle, _ found: inout Found
  ) throws(FileDamage) {
    found.visits += 1
    // A container may hold itself, or another many times.
    guard depth <= 64, found.visits <= 1 << 22, name.utf8.count <= Self.nameLimit else {
      throw FileDamage(
        "the pickle nests its containers too deeply: expected at most 64 levels, 4,194,304 values and "
          + "names of \(Self.nameLimit) bytes")
    }
    switch value {
    case .object(let index):
      guard case .tensor(let view) = objects[index] else { return }
      guard found.tensors.count < found.limit else {
        throw FileDamage("expected at most \(found.limit) tensors, found more")
      }
      found.tensors.append((name.isEmpty ? "tensor" : name, view))
    case .container(let index):
      let container = pickle.containers[index]
      let isDict = container.kind == .dict
      for place in stride(from: 0, to: container.items.count, by: isDict ? 2 : 1) {
        let key = isDict ? Self.key(container.items[place]) : String(place)
        guard let key else { continue }
        try collect(
          container.items[isDict ? place + 1 : place], name: name.isEmpty ? key : name + "." + key,
          depth: depth + 1, pickle, &found)
      }
    default: return
    }
  }

  private static func key(_ value: Pickle.Value) -> String? {
    switch value {
    case .text(let text): text
    case .integer(let number): String(number)
    default: nil
    }
  }
}
