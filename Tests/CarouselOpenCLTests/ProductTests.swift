import CarouselModel
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

/// The products of both forms beside sums in Double, most with those of `gemm/tiled_products.cl`.
@MainActor @Suite(.device)
struct ProductTests {
  /// A product as a layer asks for it, with rows of C, and of gradY, that are longer than their columns.
  enum Kind: CaseIterable {
    case forward, backward, gradients
  }

  struct Shape: CustomTestStringConvertible {
    let rows: Int, columns: Int, depth: Int
    /// Elements between the rows of what has a stride, and before its first.
    var gap = 0
    var testDescription: String { "\(rows) x \(columns) x \(depth), gap \(gap)" }
  }

  /// Sizes about the tiles' and the slabs', and such as no vector fits.
  nonisolated static let shapes = [
    Shape(rows: 1, columns: 1, depth: 1), Shape(rows: 3, columns: 17, depth: 5, gap: 3),
    Shape(rows: 17, columns: 3, depth: 65, gap: 4), Shape(rows: 65, columns: 130, depth: 17),
    Shape(rows: 130, columns: 65, depth: 3, gap: 1), Shape(rows: 132, columns: 68, depth: 20),
    Shape(rows: 128, columns: 128, depth: 16, gap: 4), Shape(rows: 4, columns: 260, depth: 12),
    Shape(rows: 64, columns: 20, depth: 333), Shape(rows: 20, columns: 12, depth: 700, gap: 8),
  ]

  /// Products divided for so many compute units.
  private func products(
    units: Int = KernelParameters.plannedUnits, _ precision: ProductPrecision = .float32
  ) throws -> TiledProducts {
    try TiledProducts(Machine.backend(.gpu, precision).launcher, computeUnits: units)
  }

  /// x as a factor has it.
  private func rounded(_ x: Double, _ precision: ProductPrecision) -> Double {
    let bits: Int
    switch precision {
    case .float32, .tf32x3: return x
    case .fp16: return Double(Float16(x))
    case .tf32: bits = 10
    case .bf16: bits = 7
    }
    let unit = Double(sign: .plus, exponent: x.exponent - bits, significand: 1)
    return (x / unit).rounded(precision == .tf32 ? .toNearestOrAwayFromZero : .toNearestOrEven)
      * unit
  }

  /// What a product left, and what it should be.
  private func compute(
    _ kind: Kind, _ shape: Shape, with products: some MatrixProducts
  ) throws -> [(actual: [Double], expected: [Double])] {
    let launcher = products.launcher
    let precision = launcher.precision
    let backend = try Machine.backend(launcher.form, precision)
    let (M, N, K, gap) = (shape.rows, shape.columns, shape.depth, shape.gap)
    func matrix(_ count: Int, _ stream: Int) throws -> ([Double], Buffer) {
      let values = numbers(count, stream: stream)
      return (values, try backend.input(values))
    }
    func product(
      _ a: [Double], _ b: [Double], _ places: (_ m: Int, _ n: Int, _ k: Int) -> (a: Int, b: Int)
    ) -> [Double] {
      // FP16 is for weights alone.
      let (a, b) = (
        precision == .fp16 ? a : a.map { rounded($0, precision) },
        precision == .fp16 && kind == .gradients ? b : b.map { rounded($0, precision) }
      )
      return (0..<M * N).map { i in
        (0..<K).reduce(0) {
          let places = places(i / N, i % N, $1)
          return $0 + a[places.a] * b[places.b]
        }
      }
    }
    switch kind {
    case .forward:
      let ((x, xBuffer), (weight, weightBuffer)) = (try matrix(M * K, 60), try matrix(N * K, 61))
      let ((bias, first), (bias2, second)) = (try matrix(N, 62), try matrix(N, 63))
      let y = try backend.output(M * (N + gap))
      try products.forward(
        x: xBuffer, weight: weightBuffer, bias: first, bias2: second, y: y, yStride: N + gap,
        rows: M, columns: N, depth: K)
      let rows = try backend.read(y, count: M * (N + gap))
      #expect(rows.indices.allSatisfy { rows[$0].isNaN == ($0 % (N + gap) >= N) })
      let sums = product(x, weight) { m, n, k in (m * K + k, n * K + k) }
      return [
        (
          rows.indices.filter { $0 % (N + gap) < N }.map { rows[$0] },
          sums.indices.map { sums[$0] + bias[$0 % N] + bias2[$0 % N] }
        )
      ]
    case .backward:
      let stride = K + gap
      let ((gradY, gradYBuffer), (weight, weightBuffer)) = (
        try matrix(M * stride, 60), try matrix(K * N, 61)
      )
      let gradX = try backend.output(M * N)
      try products.backward(
        gradY: gradYBuffer, gradYStride: stride, weight: weightBuffer, gradX: gradX, rows: M,
        columns: N, depth: K)
      return [
        (
          try backend.outcome("grad_x", gradX, M * N).values,
          product(gradY, weight) { m, n, k in (m * stride + k, k * N + n) }
        )
      ]
    case .gradients:
      let stride = M + 2 * gap
      let ((gradY, gradYBuffer), (x, xBuffer)) = (
        try matrix(K * stride, 60), try matrix(K * N, 61)
      )
      // The second of the slots, where there are several, has no rows, and the others' begin at row
      // `gap`.
      let slots = [5, 4, 3, 2].first { M.isMultiple(of: $0) } ?? 1
      let skipped = slots > 1 ? M / slots..<(2 * M / slots) : 0..<0
      let kept = (0..<M).filter { !skipped.contains($0) }
      let gradWeight = try backend.output((gap + kept.count) * N)
      let sums = try backend.output(gap + kept.count)
      try products.gradients(
        GradientColumns(
          buffer: gradYBuffer, stride: stride, offset: gap, slots: slots, width: M / slots, depth: K
        ),
        [
          WeightGradient(
            source: .matrix(xBuffer), columns: N, weight: gradWeight, bias: sums,
            skippedSlot: slots > 1 ? 1 : nil, first: gap)
        ])
      let rows = product(gradY, x) { m, n, k in (k * stride + gap + m, k * N + n) }
      let (weights, biases) = (
        try backend.outcome("grad_weight", gradWeight, (gap + kept.count) * N).values,
        try backend.outcome("sums", sums, gap + kept.count).values
      )
      #expect((weights[..<(gap * N)] + biases[..<gap]).allSatisfy { $0.isNaN })
      return [
        (Array(weights[(gap * N)...]), kept.flatMap { rows[($0 * N)..<($0 * N + N)] }),
        (
          Array(biases[gap...]),
          kept.map { m in (0..<K).reduce(0) { $0 + gradY[$1 * stride + gap + m] } }
        ),
      ]
    }
  }

  private func expectAgreement(
    _ kind: Kind, _ shape: Shape, with products: some MatrixProducts
  ) throws {
    for (actual, expected) in try compute(kind, shape, with: products) {
      try #require(actual.count == expected.count)
      let error = nrms(actual, expected)
      #expect(error <= 20 * 0x1p-23, "\(kind) \(shape.testDescription): nrms \(error)")
    }
  }

  @Test(arguments: Kind.allCases, shapes)
  func everyShapeAgrees(kind: Kind, shape: Shape) throws {
    try expectAgreement(kind, shape, with: products())
  }

  @Test(arguments: Kind.allCases, shapes)
  func everyShapeAgreesInTheCPUForm(kind: Kind, shape: Shape) throws {
    for precision in [ProductPrecision.float32, .fp16] {
      let launcher = try Machine.backend(.cpu, precision).launcher
      #expect(launcher.precision == precision)
      try expectAgreement(kind, shape, with: PanelProducts(launcher))
    }
  }

  /// FP16 to the end of its range and beyond.
  @Test func weightsBeyondHalfPrecisionAreInfinite() throws {
    let backend = try Machine.backend(.cpu, .fp16)
    let weights = [65504, -65519, 65520, 0x1p-24, 0x1p-26, 1 + 0x1p-11, 1 + 0x1.8p-10, .nan]
    let y = try backend.output(weights.count)
    try PanelProducts(backend.launcher).forward(
      x: backend.input([1]), weight: backend.input(weights), bias: nil, bias2: nil, y: y,
      yStride: nil, rows: 1, columns: weights.count, depth: 1)
    let values = try backend.read(y, count: weights.count)
    #expect(
      values[..<7] == [65504, -65504, .infinity, 0x1p-24, 0, 1, 1 + 0x1p-9] && values[7].isNaN,
      "\(values)")
  }

  @Test(arguments: TiledProducts.tiles.keys.sorted(), Kind.allCases)
  func everyTileAgrees(side: Int, kind: Kind) throws {
    let launcher = try Machine.backend(.gpu).launcher
    launcher.tuning.tile = side
    defer { launcher.tuning = LayerTuning() }
    for units in [1, 1000] {
      let products = try products(units: units)
      for shape in [
        Shape(rows: 131, columns: 66, depth: 150), .init(rows: 132, columns: 68, depth: 148),
      ] {
        try expectAgreement(kind, shape, with: products)
      }
    }
  }

  /// Every tile with TF32, and one of them otherwise and where no vector fits: how they are read is the same.
  @Test(arguments: [ProductPrecision.tf32, .bf16, .tf32x3], Kind.allCases)
  func roundedFactorsAgree(precision: ProductPrecision, kind: Kind) throws {
    let launcher = try Machine.backend(.gpu, precision).launcher
    defer { launcher.tuning = LayerTuning() }
    let shapes = [
      Shape(rows: 36, columns: 68, depth: 20, gap: 4), .init(rows: 131, columns: 66, depth: 150),
    ]
    let smallest = TiledProducts.tiles.keys.min() ?? 0
    for side in precision == .tf32 ? TiledProducts.tiles.keys.sorted() : [smallest] {
      launcher.tuning.tile = side
      for units in [1, 1000] {
        let products = try products(units: units, precision)
        for shape in shapes.prefix(precision == .tf32 && side == smallest ? 2 : 1) {
          try expectAgreement(kind, shape, with: products)
        }
      }
    }
  }

  /// What is no number is none after rounding.
  @Test(arguments: ProductPrecision.allCases) func noNumberStaysNone(precision: ProductPrecision)
    throws
  {
    let backend = try Machine.backend(.gpu, precision)
    let x = [Double](repeating: 1, count: 8) + [.nan, 1, 1, 1, 1, 1, 1, 1]
    let y = try backend.output(6)
    try products(precision).forward(
      x: backend.input(x), weight: backend.input(numbers(24, stream: 60)), bias: nil, bias2: nil,
      y: y, yStride: nil, rows: 2, columns: 3, depth: 8)
    let values = try backend.read(y, count: 6)
    #expect(values[..<3].allSatisfy { $0.isFinite } && values[3...].allSatisfy { $0.isNaN })
  }

  /// Many compute units and few tiles: K is split, and C has gaps, an offset and biases.
  @Test(arguments: Kind.allCases)
  func splitsAgreeAndRepeatTheirBits(kind: Kind) throws {
    let products = try products(units: 10000)
    let backend = try Machine.backend(.gpu)
    for shape in [
      Shape(rows: 8, columns: 12, depth: 20_000, gap: 4),
      .init(rows: 17, columns: 3, depth: 20_001, gap: 3),
    ] {
      backend.clearLaunches()
      try expectAgreement(kind, shape, with: products)
      #expect(try backend.launches.contains { $0.kernel == "add_partials" })
      let first = try compute(kind, shape, with: products).map(\.actual)
      #expect(try compute(kind, shape, with: products).map(\.actual) == first)
    }
  }

  @Test func accumulatingAddsToWhatIsThere() throws {
    let backend = try Machine.backend(.gpu)
    for (units, depth) in [(1, 9), (10000, 20_000)] {
      let products = try products(units: units)
      let (a, b, c) = (
        numbers(5 * depth, stream: 60), numbers(depth * 6, stream: 61), numbers(30, stream: 62)
      )
      let result = try backend.input(c)
      try products.multiply(
        .init(backend.input(a), depth, 1), .init(backend.input(b), 6, 1), into: result, rows: 5,
        columns: 6, depth: depth, accumulates: true)
      let expected = (0..<30).map { i in
        (0..<depth).reduce(c[i]) { $0 + a[i / 6 * depth + $1] * b[$1 * 6 + i % 6] }
      }
      #expect(
        try nrms(backend.outcome("c", result, 30).values, expected) <= 20 * 0x1p-23)
    }
  }

  /// In one range of rows and in several, two places that leave out other columns.
  @Test(arguments: [5, 700]) func sumsOfColumnsGoToBothPlaces(rows: Int) throws {
    let backend = try Machine.backend(.gpu)
    let (columns, stride, offset) = (40, 47, 3)
    let a = numbers(offset + rows * stride, stream: 60)
    let places = [(first: 2, skipped: 30..<40), (first: 0, skipped: 11..<13)]
    let buffers = try places.map { try backend.output($0.first + columns - $0.skipped.count) }
    let sums = zip(buffers, places).map {
      ColumnSums(buffer: $0, first: $1.first, skipped: $1.skipped)
    }
    try backend.launcher.sumColumns(
      backend.input(a), rows: rows, columns: columns, stride: stride, offset: offset,
      into: sums[0], and: sums[1])
    for (buffer, place) in zip(buffers, places) {
      let expected = (0..<columns).filter { !place.skipped.contains($0) }.map { column in
        (0..<rows).reduce(0) { $0 + a[offset + $1 * stride + column] }
      }
      let values = try backend.read(buffer, count: place.first + expected.count)
      #expect(values[..<place.first].allSatisfy { $0.isNaN })
      #expect(nrms(Array(values[place.first...]), expected) <= 20 * 0x1p-23)
    }
  }

  /// Every number of groups that tiles can be shared by, few of them and many, and none of them.
  @Test func partsOfSharedTilesAreAdded() throws {
    for units in [2, 3, 7] {
      let products = try products(units: units)
      for shape in [
        Shape(rows: 130, columns: 70, depth: 60), .init(rows: 34, columns: 66, depth: 301),
      ] {
        try expectAgreement(.gradients, shape, with: products)
      }
    }
  }

  /// The rule of the plans on a GPU with 132 compute units.
  @Test func tilesAreSharedWhereTheyAreFewOrTheLastOnesWouldBe() {
    func plan(_ rows: Int, _ columns: Int, _ depth: Int) -> ProductPlan {
      .best(
        of: ProductTile.table, rows: rows, columns: columns, depth: depth, computeUnits: 132)
    }
    #expect(!plan(12 * 128, 22 * 128, 1024).hasParts)
    #expect(!plan(1600, 512, 20).hasParts)
    for (rows, columns, depth) in [
      (3200, 1024, 4096), (512, 128, 1600), (1024, 128, 6400), (256, 256, 6400),
    ] {
      let plan = plan(rows, columns, depth)
      #expect(plan.hasParts)
      #expect(plan.share * plan.groups >= plan.tiles * plan.slabs)
      #expect(plan.share * (plan.groups - 1) < plan.tiles * plan.slabs)
    }
    #expect(plan(5, 7, 0) == plan(5, 7, 1))
  }
}
