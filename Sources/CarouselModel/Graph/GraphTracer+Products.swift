// Products of matrices.
extension GraphTracer {
  func product(
    _ product: GraphProduct, _ a: Traced, _ b: Traced, shape: Shape
  ) -> Traced {
    let y = result(.float32, shape, from: [a, b])
    guard shape.count > 0 else { return y }
    emit(.product(product, storage(a), storage(b), into: storage(y)))
    return y
  }

  /// `x·weightᵀ + bias` with x `[…, K]`.
  func linear(
    _ x: Traced, _ weight: Traced, _ bias: Traced?
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank >= 1, weight.shape.rank == 2, x.shape.dimensions.last == weight.shape[1]
    else {
      throw failure("a weight of shape \(weight.shape) does not fit an input of shape \(x.shape)")
    }
    let (O, K) = (weight.shape[0], weight.shape[1])
    if let bias, bias.shape != [O] {
      throw failure("the bias has the shape \(bias.shape), expected [\(O)]")
    }
    let rows = x.shape.dimensions.dropLast().reduce(1, *)
    let shape = Shape(x.shape.dimensions.dropLast() + [O])
    let y = result(x.type, shape, from: [x, weight] + (bias.map { [$0] } ?? []))
    guard shape.count > 0 else { return y }
    emit(
      .linear(
        x: storage(x), weight: storage(weight), bias: bias.map(storage), y: storage(y), rows: rows,
        inputSize: K, outputSize: O))
    whenBackward(y) { tracer, g in
      guard weight.needsGradient else {
        let product = GraphProduct.matrix(rows: rows, columns: K, depth: O)
        try tracer.addGradient(tracer.product(product, g, weight, shape: x.shape), to: x)
        if let bias, bias.needsGradient { try tracer.addGradient(g, to: bias) }
        return
      }
      let gradX = x.needsGradient ? tracer.result(.float32, x.shape, from: []) : nil
      let gradWeight = tracer.result(.float32, weight.shape, from: [])
      let gradBias = bias.map { tracer.result(.float32, $0.shape, from: []) }
      tracer.emit(
        .linearBackward(
          x: tracer.storage(x), weight: tracer.storage(weight), gradY: tracer.storage(g),
          gradX: gradX.map(tracer.storage), gradWeight: tracer.storage(gradWeight),
          gradBias: gradBias.map(tracer.storage), rows: rows, inputSize: K, outputSize: O))
      if let gradX { try tracer.addGradient(gradX, to: x) }
      try tracer.addGradient(gradWeight, to: weight)
      if let bias, let gradBias { try tracer.addGradient(gradBias, to: bias) }
    }
    return y
  }

  /// The rows of a weight that tokens choose.
  func embedding(_ weight: Traced, _ tokens: Traced) throws(CarouselError) -> Traced {
    guard weight.shape.rank == 2 else {
      throw failure("a weight of shape \(weight.shape) is none of an embedding, which is [V, E]")
    }
    let (V, E, count) = (weight.shape[0], weight.shape[1], tokens.shape.count)
    let y = result(weight.type, Shape(tokens.shape.dimensions + [E]), from: [weight])
    guard y.shape.count > 0 else { return y }
    let indices = try indexBuffer(tokens)
    emit(
      .embedding(
        storage(weight), indices: indices, into: storage(y), count: count, vocabulary: V, width: E))
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, weight.shape, from: [])
      tracer.emit(
        .embeddingBackward(
          tracer.storage(g), indices: indices, into: tracer.storage(gradient), count: count,
          vocabulary: V, width: E))
      try tracer.addGradient(gradient, to: weight)
    }
    return y
  }

  /// NumPy's `matmul`.
  func matrixProduct(_ a: Traced, _ b: Traced) throws(CarouselError) -> Traced {
    guard a.shape.rank >= 1, b.shape.rank >= 1 else {
      throw failure("a product of matrices needs an axis of each factor")
    }
    if a.shape.rank == 1 || b.shape.rank == 1 {
      let left = a.shape.rank == 1 ? try alias(a, [1, a.shape[0]]) : a
      let right = b.shape.rank == 1 ? try alias(b, [b.shape[0], 1]) : b
      let y = try matrixProduct(left, right)
      var extents = y.shape.dimensions
      if b.shape.rank == 1 { extents.removeLast() }
      if a.shape.rank == 1 { extents.remove(at: extents.count - (b.shape.rank == 1 ? 1 : 2)) }
      return try alias(y, Shape(extents))
    }
    let (M, K) = (a.shape[a.shape.rank - 2], a.shape[a.shape.rank - 1])
    let (depth, N) = (b.shape[b.shape.rank - 2], b.shape[b.shape.rank - 1])
    guard K == depth else {
      throw failure("matrices of the shapes \(a.shape) and \(b.shape) cannot be multiplied")
    }
    func batch(_ x: Traced) -> Shape { Shape(Array(x.shape.dimensions.dropLast(2))) }
    let shared = try broadcast([batch(a), batch(b)])
    let shape = Shape(shared.dimensions + [M, N])
    // One matrix for all: its rows belong to one product.
    if batch(b).count == 1 {
      let rows = try alias(a, [a.shape.count / max(K, 1), K])
      return try alias(batchedProduct(rows, alias(b, [K, N]), batch: 1), shape)
    }
    func full(_ x: Traced) throws(CarouselError) -> Traced {
      let matrix = Array(x.shape.dimensions.suffix(2))
      if batch(x).count == 1 { return try alias(x, Shape([1] + matrix)) }
      let expanded = try expanded(x, to: Shape(shared.dimensions + matrix))
      return try alias(expanded, Shape([shared.count] + matrix))
    }
    return try alias(batchedProduct(full(a), full(b), batch: shared.count), shape)
  }

  /// `y [B, M, N]` from a `[B or 1, M, K]` and b `[B or 1, K, N]`, or from two matrices.
  func batchedProduct(_ a: Traced, _ b: Traced, batch count: Int) throws(CarouselError) -> Traced {
    let (M, K) = (a.shape[a.shape.rank - 2], a.shape[a.shape.rank - 1])
    let (B, N) = (count, b.shape[b.shape.rank - 1])
    let aStep = a.shape.count == M * K ? 0 : M * K
    let bStep = b.shape.count == K * N ? 0 : K * N
    let y = product(
      GraphProduct(
        batch: [1, B], rows: M, columns: N, depth: [1, K],
        a: .init(batch: [0, aStep], outer: K, depth: [0, 1]),
        b: .init(batch: [0, bStep], outer: 1, depth: [0, N]), yBatch: [0, M * N], yRow: N,
        yColumn: 1),
      a, b, shape: [B, M, N])
    whenBackward(y) { tracer, g in
      if a.needsGradient {
        // One a for the whole batch: the sum over it is part of the product.
        let isShared = aStep == 0 && B > 1
        let gradient = tracer.product(
          GraphProduct(
            batch: [1, isShared ? 1 : B], rows: M, columns: K, depth: [isShared ? B : 1, N],
            a: .init(batch: [0, M * N], outer: N, depth: [M * N, 1]),
            b: .init(batch: [0, bStep], outer: N, depth: [bStep, 1]), yBatch: [0, M * K], yRow: K,
            yColumn: 1),
          g, b, shape: a.shape)
        try tracer.addGradient(gradient, to: a)
      }
      if b.needsGradient {
        let isShared = bStep == 0 && B > 1
        let gradient = tracer.product(
          GraphProduct(
            batch: [1, isShared ? 1 : B], rows: K, columns: N, depth: [isShared ? B : 1, M],
            a: .init(batch: [0, aStep], outer: 1, depth: [aStep, K]),
            b: .init(batch: [0, M * N], outer: 1, depth: [M * N, N]), yBatch: [0, K * N], yRow: N,
            yColumn: 1),
          a, g, shape: b.shape)
        try tracer.addGradient(gradient, to: b)
      }
    }
    return y
  }

  func gemm(
    _ a: Traced, _ b: Traced, _ c: Traced?, alpha: Double, beta: Double, transposesA: Bool,
    transposesB: Bool
  ) throws(CarouselError) -> Traced {
    guard a.shape.rank == 2, b.shape.rank == 2 else {
      throw failure(
        "Gemm multiplies matrices, but its factors have the shapes \(a.shape), \(b.shape)")
    }
    let left = transposesA ? try transposed(a, [1, 0]) : a
    func scaled(_ x: Traced, _ factor: Double) throws(CarouselError) -> Traced {
      factor == 1 ? x : try unary(.affine(scale: factor, shift: 0), x)
    }
    if transposesB, alpha == 1, beta == 1, c == nil || c?.shape == [b.shape[0]] {
      return try linear(left, b, c)
    }
    let y = try scaled(matrixProduct(left, transposesB ? transposed(b, [1, 0]) : b), alpha)
    guard let c else { return y }
    return try binary(.add, y, scaled(c, beta))
  }

  /// Einstein's sum of one or two operands, each axis of an operand under a letter of its own.
  func einsum(_ equation: String, _ operands: [Traced]) throws(CarouselError) -> Traced {
    let sides = equation.filter { $0 != " " }.split(separator: "-", maxSplits: 1)
    let terms = sides.first.map { $0.split(separator: ",").map { Array($0) } } ?? []
    let counts = terms.joined().reduce(into: [Character: Int]()) { $0[$1, default: 0] += 1 }
    let output =
      sides.count == 2
      ? Array(sides[1].dropFirst()) : counts.filter { $0.value == 1 }.keys.sorted()
    guard terms.count == operands.count, (1...2).contains(terms.count),
      zip(terms, operands).allSatisfy({ $0.count == $1.shape.rank && Set($0).count == $0.count }),
      terms.joined().allSatisfy(\.isLetter), Set(output).isSubset(of: counts.keys),
      Set(output).count == output.count
    else {
      throw failure("the equation '\(equation)' does not fit its operands, or is not supported")
    }
    var labels = terms
    var values = operands
    // What only one operand has and the result has not is summed first.
    for index in values.indices {
      let others = values.count == 2 ? labels[1 - index] : []
      let summed = labels[index].indices.filter {
        !output.contains(labels[index][$0]) && !others.contains(labels[index][$0])
      }
      guard !summed.isEmpty else { continue }
      values[index] = try reduce(.sum, values[index], axes: summed, keepsDimensions: false)
      labels[index] = labels[index].indices.filter { !summed.contains($0) }.map {
        labels[index][$0]
      }
    }
    guard values.count == 2 else {
      return try transposed(values[0], order(of: output, in: labels[0]))
    }
    let (left, right) = (labels[0], labels[1])
    let batch = left.filter { right.contains($0) && output.contains($0) }
    let inner = left.filter { right.contains($0) && !output.contains($0) }
    let rows = left.filter { !right.contains($0) }
    let columns = right.filter { !left.contains($0) }
    var extents: [Character: Int] = [:]
    for (letters, value) in zip(labels, values) {
      for (letter, extent) in zip(letters, value.shape.dimensions) {
        guard extents[letter] == nil || extents[letter] == extent else {
          throw failure("'\(letter)' of the equation '\(equation)' has two extents")
        }
        extents[letter] = extent
      }
    }
    let known = extents
    if let product = GraphProduct(
      batch: batch, rows: rows, inner: inner, columns: columns, extents: known,
      places: [left, right, output].map { places($0, known) })
    {
      return stridedProduct(
        product, values[0], values[1], shape: Shape(output.map { known[$0] ?? 1 }))
    }
    func count(_ letters: [Character]) -> Int { letters.reduce(1) { $0 * (known[$1] ?? 1) } }
    func arranged(
      _ index: Int, _ groups: [[Character]]
    ) throws(CarouselError) -> Traced {
      let moved = try transposed(
        values[index], order(of: groups.flatMap(\.self), in: labels[index]))
      return try alias(moved, Shape(groups.map(count)))
    }
    let y = try batchedProduct(
      arranged(0, [batch, rows, inner]), arranged(1, [batch, inner, columns]), batch: count(batch))
    let letters = batch + rows + columns
    let named = try alias(y, Shape(letters.map { known[$0] ?? 1 }))
    return try transposed(named, order(of: output, in: letters))
  }

  private func order(of wanted: [Character], in letters: [Character]) -> [Int] {
    wanted.compactMap { letters.firstIndex(of: $0) }
  }

  /// The stride of each letter in a contiguous tensor of these axes.
  private func places(
    _ letters: [Character], _ extents: [Character: Int]
  ) -> [Character: Int] {
    let strides = StridedView.strides(of: letters.map { extents[$0] ?? 1 })
    return Dictionary(uniqueKeysWithValues: zip(letters, strides))
  }

  /// A product that reads and writes every element of its tensors where it lies, with its gradients.
  private func stridedProduct(
    _ given: GraphProduct, _ a: Traced, _ b: Traced, shape: Shape
  ) -> Traced {
    let y = product(given, a, b, shape: shape)
    whenBackward(y) { tracer, g in
      if a.needsGradient {
        try tracer.addGradient(tracer.product(given.gradientOfA, g, b, shape: a.shape), to: a)
      }
      if b.needsGradient {
        try tracer.addGradient(tracer.product(given.gradientOfB, a, g, shape: b.shape), to: b)
      }
    }
    return y
  }
}

extension GraphProduct {
  /// The product that an Einstein sum is: a, b and y have the strides `places`, by letter; nil where some letters lie
  /// so that no strides of a product say where.
  fileprivate init?(
    batch: [Character], rows: [Character], inner: [Character], columns: [Character],
    extents: [Character: Int], places: [[Character: Int]]
  ) {
    guard batch.count <= 2 else { return nil }
    func extent(_ letters: [Character]) -> Int { letters.reduce(1) { $0 * (extents[$1] ?? 1) } }
    // The stride of letters that are counted as one axis.
    func stride(_ letters: [Character], in operand: Int) -> Int? {
      let counted = letters.filter { extents[$0] != 1 }
      let strides = counted.map { places[operand][$0] ?? 0 }
      for index in strides.indices.dropLast()
      where strides[index] != strides[index + 1] * (extents[counted[index + 1]] ?? 1) {
        return nil
      }
      return strides.last ?? 0
    }
    guard let aRow = stride(rows, in: 0), let aInner = stride(inner, in: 0),
      let bColumn = stride(columns, in: 1), let bInner = stride(inner, in: 1),
      let yRow = stride(rows, in: 2), let yColumn = stride(columns, in: 2)
    else { return nil }
    func levels(_ values: [Int], _ absent: Int) -> [Int] {
      [Int](repeating: absent, count: 2 - values.count) + values
    }
    func batchStrides(_ operand: Int) -> [Int] { levels(batch.map { places[operand][$0] ?? 0 }, 0) }
    self.init(
      batch: levels(batch.map { extents[$0] ?? 1 }, 1), rows: extent(rows),
      columns: extent(columns), depth: [1, extent(inner)],
      a: Operand(batch: batchStrides(0), outer: aRow, depth: [0, aInner]),
      b: Operand(batch: batchStrides(1), outer: bColumn, depth: [0, bInner]),
      yBatch: batchStrides(2), yRow: yRow, yColumn: yColumn)
  }

  /// `gradA[b, m, k] = Σₙ gradY[b, m, n]·w[b, k, n]`, of a product with one level of k.
  fileprivate var gradientOfA: GraphProduct {
    GraphProduct(
      batch: batch, rows: rows, columns: depth[1], depth: [1, columns],
      a: Operand(batch: yBatch, outer: yRow, depth: [0, yColumn]),
      b: Operand(batch: b.batch, outer: b.depth[1], depth: [0, b.outer]),
      yBatch: a.batch, yRow: a.outer, yColumn: a.depth[1])
  }

  /// `gradW[b, k, n] = Σₘ a[b, m, k]·gradY[b, m, n]`, of the same.
  fileprivate var gradientOfB: GraphProduct {
    GraphProduct(
      batch: batch, rows: depth[1], columns: columns, depth: [1, rows],
      a: Operand(batch: a.batch, outer: a.depth[1], depth: [0, a.outer]),
      b: Operand(batch: yBatch, outer: yColumn, depth: [0, yRow]),
      yBatch: b.batch, yRow: b.depth[1], yColumn: b.outer)
  }
}
