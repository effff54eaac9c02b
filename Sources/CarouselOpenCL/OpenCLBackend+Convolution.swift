import CarouselModel
import OpenCLDriver

// The twin of convolution.cl and window_products.cl.
extension OpenCLBackend {
  /// Queues one launch.
  public func convolve(
    _ convolution: DirectConvolution, _ x: Buffer, weight: Buffer, bias: Buffer?, added: Buffer?,
    into y: Buffer
  ) throws {
    try checkConvolution(convolution, x: x, weight: weight, bias: bias, added: added, y: y)
    guard convolution.outputCount > 0 else { return }
    if convolution.isProduct, let panels = products as? PanelProducts {
      return try multiplyWindows(
        convolution, panels, x, weight: weight, bias: bias, added: added, into: y)
    }
    let isCPU = launcher.parameters.lanes == 1
    let steps = ConvolutionSteps(convolution, joinsRows: isCPU)
    let (D, R, K) = (
      convolution.inputs, convolution.outputs, steps.kernel[0] * steps.kernel[1]
    )
    let division = ConvolutionDivision(
      steps, products: D * R * K, rows: R, batch: convolution.batch * convolution.groups,
      isCPU: isCPU)
    let buffers: KernelArguments = [
      "x": .buffer(x), "w": .buffer(weight), "bias": .optional(bias), "added": .optional(added),
      "y": .buffer(y),
    ]
    try launcher.launch(
      launcher.kernel("convolve", in: ["ops/convolution.cl"]),
      global: division.items, flops: convolution.flops, bytes: convolution.bytes,
      buffers + ["groups": .int(convolution.groups)] + steps.arguments(convolution) + [
        "chunk": .int(division.chunk), "tiles_per_item": .int(division.tilesPerItem),
        "rows_per_item": .int(division.rowsPerItem),
      ])
  }

  /// Queues one launch; the weights are packed once.
  private func multiplyWindows(
    _ convolution: DirectConvolution, _ products: PanelProducts, _ x: Buffer, weight: Buffer,
    bias: Buffer?, added: Buffer?, into y: Buffer
  ) throws {
    let depth = convolution.inputs * convolution.window.kernel.reduce(1, *)
    let division = WindowDivision(
      tiles: ceilDivide(convolution.windows, PanelProducts.tileRows) * convolution.batch,
      panels: ceilDivide(convolution.outputs, products.panelWidth),
      cores: convolution.flops < WindowDivision.fewFlops ? 1 : launcher.plannedDevice.computeUnits)
    let room = division.items.reduce(1, *) * WindowDivision.tilesTogether * PanelProducts.tileRows
    try launcher.launch(
      launcher.kernel(
        "convolve_windows", in: ["ops/window_products.cl"],
        options: launcher.precision.panelOptions),
      global: division.items, local: [1, 1], flops: convolution.flops, bytes: convolution.bytes,
      [
        "x": .buffer(x),
        "panels": .buffer(
          try products.packed(
            weight, transposed: true, depth: depth, columns: convolution.outputs)),
        "bias": .optional(bias), "added": .optional(added), "y": .buffer(y),
        "tiles": .buffer(try launcher.scratch(count: room * depth)), "N": .int(convolution.batch),
      ] + ConvolutionSteps(convolution).arguments(convolution) + [
        "tiles_per_item": .int(division.tilesPerItem),
        "panels_per_item": .int(division.panelsPerItem),
      ])
  }
}

/// What of a product of windows each work-item computes.
struct WindowDivision: Equatable {
  let tilesPerItem: Int, panelsPerItem: Int
  /// The work-items along tiles and along panels.
  let items: [Int]

  /// So few operations take a core less time than another core takes to wake.
  ///
  /// A chunk of Silero's voice activity detector, which has five such convolutions, on two cores 0.216 to 0.181 ms.
  static let fewFlops = 1e6

  /// TILES of `window_products.cl`.
  static let tilesTogether = 4

  /// Several ranges of tiles for each core; where there are few tiles, panels are shared out in their place, so that
  /// each weight is read by one core.
  init(tiles: Int, panels: Int, cores: Int) {
    let isFew = tiles < 2 * Self.tilesTogether * cores && panels >= cores
    tilesPerItem =
      isFew ? tiles : roundUp(ceilDivide(tiles, 4 * cores), to: Self.tilesTogether)
    panelsPerItem = isFew ? ceilDivide(panels, cores) : panels
    items = [ceilDivide(tiles, tilesPerItem), ceilDivide(panels, panelsPerItem)]
  }
}

extension DirectConvolution {
  /// The windows of an image.
  fileprivate var windows: Int { outputExtents[0] * outputExtents[1] }

  /// Whether it is computed as a product with packed weights: as many as make it worth copying the windows, whose
  /// results, a few for each channel, stay in a cache.
  fileprivate var isProduct: Bool {
    groups == 1 && !isAdjoint && outputs >= 16 && weightCount >= 1 << 12
      && batch * windows <= 1 << 12
  }

  /// What is read or written at least once.
  fileprivate var bytes: Double { 4 * Double(inputCount + weightCount + outputCount) }
}

extension DirectConvolution.Activation {
  /// Its number in `convolution.cl`.
  fileprivate var number: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Where a convolution reads, along both axes: element k of place p is at `(p·stride + begin + k·tap)/upsampling`.
struct ConvolutionSteps: Equatable {
  var kernel: [Int], input: [Int], output: [Int]
  var strides: [Int], upsampling: [Int], begin: [Int], taps: [Int]
  /// Where rows are joined the columns of a row, as many as its windows are over, the elements between two rows of a
  /// window, and where a row's first window begins in it: as `convolution_geometry.cl` has them.
  var period = 0, limit = 0, rowTap = 0, ownBegin = 0

  /// Planes whose rows follow each other in the same way in x and y are taken as one row, which whole vectors fill;
  /// with `joinsRows` those too in which a window reaches beyond its row.
  init(_ convolution: DirectConvolution, joinsRows: Bool = false) {
    let window = convolution.window
    (kernel, input, output) = (
      window.kernel, convolution.inputExtents, convolution.outputExtents
    )
    if convolution.isAdjoint {
      (strides, upsampling) = ([1, 1], window.strides)
      (begin, taps) = (window.before, window.dilations.map(-))
    } else {
      (strides, upsampling) = (window.strides, [1, 1])
      (begin, taps) = (window.before.map(-), window.dilations)
    }
    let width = input[1]
    guard kernel[1] == 1, begin[1] == 0, strides == [1, 1], upsampling == [1, 1],
      width == output[1]
    else {
      if joinsRows { joinRows() }
      return
    }
    kernel = [1, kernel[0]]
    input = [1, input[0] * width]
    output = [1, output[0] * width]
    begin = [0, begin[0] * width]
    taps = [1, taps[0] * width]
  }

  /// Takes all rows of a plane as one: what a window is over above or below the plane lies before its first element
  /// then, or behind its last.
  private mutating func joinRows() {
    guard strides[0] == 1, upsampling[0] == 1, output[0] > 1,
      input[1] * upsampling[1] == output[1] * strides[1]
    else { return }
    let width = input[1] * upsampling[1]
    (period, limit, rowTap, ownBegin) = (output[1], width, taps[0] * width, begin[1])
    begin = [0, begin[0] * width + begin[1]]
    input = [1, input[0] * input[1]]
    output = [1, output[0] * output[1]]
  }

  /// GEOMETRY_PARAMETERS of `convolution_geometry.cl`.
  fileprivate func arguments(_ convolution: DirectConvolution) -> KernelArguments {
    let (D, R, K) = (convolution.inputs, convolution.outputs, kernel[0] * kernel[1])
    return [
      "D": .int(D), "R": .int(R), "KH": .int(kernel[0]), "KW": .int(kernel[1]),
      "IH": .int(input[0]), "IW": .int(input[1]),
      "OH": .int(output[0]), "OW": .int(output[1]), "SH": .int(strides[0]), "SW": .int(strides[1]),
      "UH": .int(upsampling[0]), "UW": .int(upsampling[1]), "BH": .int(begin[0]),
      "BW": .int(begin[1]), "TH": .int(taps[0]), "TW": .int(taps[1]),
      "w_row": .int(convolution.isAdjoint ? K : D * K),
      "w_depth": .int(convolution.isAdjoint ? R * K : K),
      "activation": .int(convolution.activation.number), "period": .int(period),
      "limit": .int(limit), "row_tap": .int(rowTap), "own_begin": .int(ownBegin),
    ]
  }
}

/// What of a convolution each work-item computes.
struct ConvolutionDivision: Equatable {
  /// The columns of a tile, the tiles of a work-item, and its rows, which are channels of a group.
  let chunk: Int, tilesPerItem: Int, rowsPerItem: Int
  /// The work-items along tiles, along images and groups, and along rows.
  let items: [Int]

  /// ROWS of `convolution.cl`.
  private static let rowsTogether = 4
  /// The products of a work-item on a CPU, at least, and how many work-items there should be.
  private static let fewestProducts = 1 << 14, enoughItems = 16

  /// `products` are those of all rows of a column.
  ///
  /// On a GPU a work-item has one column and few rows. On a CPU it has all rows of several tiles, so that windows
  /// are read once, and fewer only where there would be too few work-items.
  init(_ steps: ConvolutionSteps, products: Int, rows: Int, batch: Int, isCPU: Bool) {
    chunk = isCPU ? min(512, steps.output[1]) : 1
    let tiles = steps.output[0] * ceilDivide(steps.output[1], chunk)
    let work = max(chunk * products, 1)
    tilesPerItem =
      isCPU
      ? min(ceilDivide(4 * Self.fewestProducts, work), max(tiles * batch / Self.enoughItems, 1)) : 1
    let parts = ceilDivide(tiles, tilesPerItem)
    let wanted = min(
      ceilDivide(Self.enoughItems, parts * batch), max(work / Self.fewestProducts, 1))
    rowsPerItem =
      isCPU ? roundUp(ceilDivide(rows, wanted), to: Self.rowsTogether) : Self.rowsTogether
    items = [parts, batch, ceilDivide(rows, rowsPerItem)]
  }
}
