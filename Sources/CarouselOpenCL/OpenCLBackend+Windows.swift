import CarouselModel
import OpenCLDriver

// The twin of windows.cl.
extension OpenCLBackend {
  private func windowKernel(_ name: String, elements: Int) throws -> Kernel {
    try launcher.kernel(name, in: ["ops/windows.cl"], options: ["-DITEM=\(elements)"])
  }

  private func arguments(_ window: Window) -> KernelArguments {
    [
      "H": .int(window.input[0]), "W": .int(window.input[1]), "KH": .int(window.kernel[0]),
      "KW": .int(window.kernel[1]), "HO": .int(window.output[0]), "WO": .int(window.output[1]),
      "SH": .int(window.strides[0]), "SW": .int(window.strides[1]),
      "DH": .int(window.dilations[0]), "DW": .int(window.dilations[1]),
      "PH": .int(window.before[0]), "PW": .int(window.before[1]),
    ]
  }

  /// Queues a kernel for `count` elements that come from windows or go to them.
  private func launch(
    _ name: String, _ window: Window, count: Int, flops: Double = 0, _ buffers: KernelArguments,
    _ more: KernelArguments = [:]
  ) throws {
    guard count > 0 else { return }
    try launcher.launch(
      windowKernel(name, elements: elementsPerItem), items: ceilDivide(count, elementsPerItem),
      flops: flops, bytes: 4 * Double(window.columnCount + window.inputCount),
      buffers + ["count": .int(count)] + more)
  }

  /// Queues one launch.
  public func unfold(_ window: Window, _ x: Buffer, into columns: Buffer, padding: Double) throws {
    try checkWindow(window, plane: x, columns: columns)
    try launch(
      "unfold", window, count: window.columnCount,
      ["x": .buffer(x), "columns": .buffer(columns)],
      arguments(window) + ["padding": .float(Float(padding))])
  }

  /// Queues one launch.
  public func unfoldRows(_ window: Window, channels: Int, _ x: Buffer, into rows: Buffer) throws {
    try checkWindow(window, plane: x, columns: rows)
    try launch(
      "unfold_rows", window, count: window.columnCount, ["x": .buffer(x), "rows": .buffer(rows)],
      ["C": .int(channels)] + arguments(window))
  }

  /// Queues one launch.
  public func fold(_ window: Window, _ columns: Buffer, into x: Buffer) throws {
    try checkWindow(window, plane: x, columns: columns)
    try launch(
      "fold", window, count: window.inputCount, flops: Double(window.columnCount),
      ["columns": .buffer(columns), "x": .buffer(x)], arguments(window))
  }

  /// Queues one launch.
  public func gather(
    _ x: Buffer, indices: IndexBuffer, into y: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int
  ) throws {
    try checkGather(
      x: x, indices: indices, y: y, outer: outer, extent: extent, inner: inner, count: count)
    guard outer * count * inner > 0 else { return }
    let rows = outer * count
    let rowsPerItem = max(1, elementsPerItem / inner)
    try launcher.launch(
      windowKernel("gather", elements: elementsPerItem),
      global: [ceilDivide(inner, elementsPerItem), ceilDivide(rows, rowsPerItem)],
      bytes: 8 * Double(rows * inner),
      [
        "x": .buffer(x), "indices": .buffer(indices.memory), "y": .buffer(y), "V": .int(extent),
        "M": .int(count), "inner": .int(inner), "rows": .int(rows),
        "rows_per_item": .int(rowsPerItem),
      ])
  }

  /// Queues one launch; the host sorts the indices by their places in x first.
  public func scatter(
    _ y: Buffer, indices: IndexBuffer, into x: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int
  ) throws {
    try checkGather(
      x: x, indices: indices, y: y, outer: outer, extent: extent, inner: inner, count: count)
    guard outer * extent * inner > 0 else { return }
    var starts = [Int32](repeating: 0, count: extent + 1)
    let values = indices.values.prefix(count)
    for value in values where value >= 0 { starts[Int(value) + 1] += 1 }
    for v in 0..<extent { starts[v + 1] += starts[v] }
    var next = starts
    var places = [Int32](repeating: 0, count: max(count, 1))
    for (m, value) in values.enumerated() where value >= 0 {
      places[Int(next[Int(value)])] = Int32(m)
      next[Int(value)] += 1
    }
    let (startMemory, placeMemory) = (
      try launcher.scratch(count: starts.count), try launcher.scratch(count: places.count)
    )
    try launcher.queue.write(starts, to: startMemory)
    try launcher.queue.write(places, to: placeMemory)
    try launcher.launch(
      windowKernel("scatter", elements: elementsPerItem),
      global: [ceilDivide(inner, elementsPerItem), outer * extent],
      flops: Double(outer * count * inner),
      bytes: 4 * Double(outer * inner) * Double(2 * count + extent),
      [
        "y": .buffer(y), "starts": .buffer(startMemory), "places": .buffer(placeMemory),
        "x": .buffer(x), "V": .int(extent), "M": .int(count), "inner": .int(inner),
      ])
  }
}
