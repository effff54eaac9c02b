/// An array of elements in a backend's memory.
public protocol BackendBuffer: AnyObject {
  /// The number of elements.
  var count: Int { get }
}

/// An array of Int32 in a backend's memory, of which the host keeps a copy.
///
/// Operations read the copy to check every index before any of them reaches a device.
public protocol BackendIndexBuffer: AnyObject {
  /// The indices as they were written last.
  var values: [Int32] { get }
}

/// What the forward pass of one recurrent layer keeps for its backward pass.
public protocol BackendReserve: AnyObject {
  /// The layer that it was made for.
  var layer: RecurrentLayer { get }
  /// T and N.
  var sequenceLength: Int { get }
  var batchSize: Int { get }
  /// Whether a backward pass may follow.
  var training: Bool { get }
}
