import CarouselModel

/// What a loss says in the terms of a task.
public struct TaskMetrics: Hashable, Sendable, Encodable {
  /// The mean loss: a cross-entropy in nats, or a squared error.
  public var loss: Double
  /// Of a text, the cross-entropy in bits per byte: `loss / ln 2`.
  public var bitsPerByte: Double?
  /// Of a text in UTF-8, the bits that a character costs, `bitsPerByte` times its bytes on average.
  public var bitsPerCharacter: Double?

  /// Takes the loss of a task without a text.
  public init(loss: Double) { self.loss = loss }

  /// Takes the loss of a text in nats per byte; `bytesPerCharacter` is nil where it is not UTF-8.
  public init(lossPerByte loss: Double, bytesPerCharacter: Double?) {
    self.loss = loss
    let bits = loss / 0.693147180559945309417232121458
    bitsPerByte = bits
    bitsPerCharacter = bytesPerCharacter.map { bits * $0 }
  }
}
