/// What a kernel is given for one of its parameters.
package enum KernelArgument {
  /// A `global` or `constant` pointer.
  case buffer(Buffer)
  /// A `global` or `constant` pointer that is null.
  case nullBuffer
  /// An `int`.
  case int32(Int32)
  /// A `uint`.
  case uint32(UInt32)
  /// A `ulong`.
  case uint64(UInt64)
  /// A `float`.
  case float(Float)
}

/// What a kernel is given: a value under the name of each of its parameters, in their order.
package struct KernelArguments: ExpressibleByDictionaryLiteral {
  /// The names and values, in order.
  package private(set) var elements: [(StaticString, KernelArgument)]

  /// Arguments written out: `["x": .buffer(x), "count": .int32(n)]`.
  package init(dictionaryLiteral elements: (StaticString, KernelArgument)...) {
    self.elements = elements
  }

  /// The arguments of `left`, then those of `right`.
  package static func + (left: KernelArguments, right: KernelArguments) -> KernelArguments {
    var result = left
    result.elements += right.elements
    return result
  }
}

/// A parameter of a kernel as its compiler saw it.
package struct KernelParameter: Equatable, Sendable {
  /// Where a parameter's memory lies; a number by itself is `private`.
  package enum AddressSpace: Sendable {
    case global
    case constant
    case local
    case `private`
  }

  /// Its name in the source.
  package let name: String
  /// Its type in the source, such as `float*` or `uint`.
  package let typeName: String
  /// The address space of what it points to.
  package let addressSpace: AddressSpace
  /// Whether the kernel may only read what it points to.
  package let isReadOnly: Bool

  /// Describes a parameter.
  package init(
    name: String, typeName: String, addressSpace: AddressSpace, isReadOnly: Bool = false
  ) {
    self.name = name
    self.typeName = typeName
    self.addressSpace = addressSpace
    self.isReadOnly = isReadOnly
  }

  /// How arguments differ from the parameters they are meant for, in name, order, number or type:
  /// the first difference as a sentence, or nil where they agree.
  package static func mismatch(
    of arguments: KernelArguments, with parameters: [KernelParameter],
    kernel: String
  ) -> String? {
    guard arguments.elements.count == parameters.count else {
      return
        "\(kernel) has \(parameters.count) parameters and was given \(arguments.elements.count)"
    }
    for (position, ((key, value), parameter)) in zip(arguments.elements, parameters).enumerated() {
      let name = key.description
      guard name == parameter.name else {
        return "parameter \(position) of \(kernel) is \(parameter.name) and was given \(name)"
      }
      guard parameter.accepts(value) else {
        return "parameter \(name) of \(kernel) is a \(parameter.addressSpace) "
          + "\(parameter.typeName) and was given \(value.label)"
      }
    }
    return nil
  }

  private func accepts(_ argument: KernelArgument) -> Bool {
    switch argument {
    case .buffer, .nullBuffer: addressSpace == .global || addressSpace == .constant
    case .int32: isScalar("int")
    case .uint32: isScalar("uint", "unsigned int")
    case .uint64: isScalar("ulong", "unsigned long")
    case .float: isScalar("float")
    }
  }

  private func isScalar(_ names: String...) -> Bool {
    addressSpace == .private && names.contains(typeName)
  }
}

extension KernelArgument {
  /// What it is, for messages.
  fileprivate var label: String {
    switch self {
    case .buffer: "a buffer"
    case .nullBuffer: "a null buffer"
    case .int32: "an Int32"
    case .uint32: "a UInt32"
    case .uint64: "a UInt64"
    case .float: "a Float"
    }
  }
}
