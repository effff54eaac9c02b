import CarouselModel

extension ReferenceBackend {
  /// `norm[0] = √Σ x[i]²` over the first `count` elements, in ascending order.
  public func norm(of x: Buffer, count: Int, into norm: Buffer) throws {
    try check(x, "x", count)
    try check(norm, "norm", 1)
    var sum = 0.0
    for element in x.first(count) { sum += element * element }
    norm.vector(1)[0] = sum.squareRoot()
  }
}
