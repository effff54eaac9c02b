/// A row-major matrix in memory that a buffer owns, and its products in plain loops.
///
/// Every product adds to what the matrix holds; every element of it is a sum in a fixed order.
struct Matrix {
  let elements: UnsafeMutablePointer<Double>
  let rows: Int
  let columns: Int

  /// The elements of one row.
  subscript(row: Int) -> UnsafeMutablePointer<Double> { elements + row * columns }

  /// Block `index` of `count` rows: of `[T·N, H]` with `count` N, the step `index`.
  func block(_ index: Int, of count: Int) -> Matrix {
    precondition(index >= 0 && (index + 1) * count <= rows)
    return Matrix(elements: self[index * count], rows: count, columns: columns)
  }

  /// Sets every element to `value`.
  func fill(with value: Double) {
    elements.update(repeating: value, count: rows * columns)
  }

  /// Copies a matrix of the same shape.
  func copy(_ source: Matrix) {
    precondition(rows == source.rows && columns == source.columns)
    elements.update(from: source.elements, count: rows * columns)
  }

  /// Copies as many elements as there are; zeros where there is no source.
  func load(_ source: UnsafeMutablePointer<Double>?) {
    if let source {
      elements.update(from: source, count: rows * columns)
    } else {
      fill(with: 0)
    }
  }

  /// Adds `vector [columns]` to every row.
  func addToRows(_ vector: UnsafeMutablePointer<Double>) {
    for row in 0..<rows { addMultiple(1, of: vector, to: self[row], count: columns) }
  }

  /// `self[m, o] += Σₖ a[m, k]·b[o, k]`, that is a·bᵀ.
  func addProduct(_ a: Matrix, transposed b: Matrix) {
    precondition(rows == a.rows && columns == b.rows && a.columns == b.columns)
    for m in 0..<rows {
      for o in 0..<columns { self[m][o] += dot(a[m], b[o], count: a.columns) }
    }
  }

  /// `self[m, k] += Σₒ a[m, o]·b[o, k]`, that is a·b.
  func addProduct(_ a: Matrix, _ b: Matrix) {
    precondition(rows == a.rows && columns == b.columns && a.columns == b.rows)
    for m in 0..<rows {
      for o in 0..<a.columns { addMultiple(a[m][o], of: b[o], to: self[m], count: columns) }
    }
  }

  /// `self[o, k] += Σₘ a[m, o]·b[m, k]`, that is aᵀ·b, over all rows m, or those given.
  func addProduct(transposed a: Matrix, _ b: Matrix, over summed: [Int]? = nil) {
    precondition(rows == a.columns && columns == b.columns && a.rows == b.rows)
    let summed = summed ?? Array(0..<a.rows)
    for o in 0..<rows {
      for m in summed { addMultiple(a[m][o], of: b[m], to: self[o], count: columns) }
    }
  }

  /// `sums[k] = Σₘ self[m, k]`.
  func sumRows(into sums: UnsafeMutablePointer<Double>) {
    sums.update(repeating: 0, count: columns)
    for m in 0..<rows { addMultiple(1, of: self[m], to: sums, count: columns) }
  }
}

/// Hidden states, or their gradients, as `StateRows` says.
struct StateMatrix {
  let elements: UnsafeMutablePointer<Double>
  let stride: Int

  /// The elements of one row.
  subscript(row: Int) -> UnsafeMutablePointer<Double> { elements + row * stride }
}

/// `Σ a[k]·b[k]`, in four partial sums, so that an addition need not wait for the one before.
func dot(
  _ a: UnsafeMutablePointer<Double>, _ b: UnsafeMutablePointer<Double>, count: Int
) -> Double {
  var (sum0, sum1, sum2, sum3) = (0.0, 0.0, 0.0, 0.0)
  var k = 0
  while k + 4 <= count {
    sum0 += a[k] * b[k]
    sum1 += a[k + 1] * b[k + 1]
    sum2 += a[k + 2] * b[k + 2]
    sum3 += a[k + 3] * b[k + 3]
    k += 4
  }
  while k < count {
    sum0 += a[k] * b[k]
    k += 1
  }
  return (sum0 + sum1) + (sum2 + sum3)
}

/// `y[k] += factor·x[k]`.
func addMultiple(
  _ factor: Double, of x: UnsafeMutablePointer<Double>, to y: UnsafeMutablePointer<Double>,
  count: Int
) {
  var k = 0
  while k < count {
    y[k] += factor * x[k]
    k += 1
  }
}
