import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// What no backend computes with: indices out of range, and buffers that are too small.
@MainActor @Suite(.device)
struct CheckTests {
  private func onEachBackend(_ body: (any Backend) throws -> Void) throws {
    try body(ReferenceBackend())
    for form in [KernelForm.cpu, .gpu] { try body(Machine.backend(form)) }
  }

  private nonisolated func expectError(
    _ kind: CarouselError.Kind, _ message: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    #expect(throws: CarouselError(kind, message), sourceLocation: sourceLocation) { try body() }
  }

  /// Class 2 of 2 once gave a loss of −2e21.
  @Test(arguments: [Int32(2), 100_000, .max])
  func aTargetOutOfRangeIsRefused(target: Int32) throws {
    try onEachBackend { backend in
      func check<B: Backend>(_ backend: B) throws {
        let (logits, loss) = (try backend.makeBuffer(count: 6), try backend.makeBuffer(count: 1))
        let targets = try backend.indices([0, -1, target])
        expectError(
          .badData, "the target in row 2 must be at least 0 and at most 1, but is \(target)"
        ) {
          try backend.softmaxCrossEntropy(
            logits: logits, targets: targets, gradLogits: nil, loss: loss, rows: 3, classes: 2,
            scale: 1)
        }
      }
      try check(backend)
    }
  }

  @Test(arguments: [Int32(-1), 3, .max])
  func aTokenOutOfRangeIsRefused(token: Int32) throws {
    try onEachBackend { backend in
      func check<B: Backend>(_ backend: B) throws {
        let (weight, y) = (try backend.makeBuffer(count: 6), try backend.makeBuffer(count: 4))
        let tokens = try backend.indices([2, token])
        let message = "the token in row 1 must be at least 0 and at most 2, but is \(token)"
        expectError(.badData, message) {
          try backend.embeddingForward(
            indices: tokens, weight: weight, y: y, count: 2, vocabulary: 3, width: 2)
        }
        expectError(.badData, message) {
          try backend.embeddingBackward(
            indices: tokens, gradY: y, gradWeight: weight, count: 2, vocabulary: 3, width: 2)
        }
      }
      try check(backend)
    }
  }

  @Test(arguments: [Int32(-1), 4, .max])
  func aLengthOutOfRangeIsRefused(length: Int32) throws {
    try onEachBackend { backend in
      func check<B: Backend>(_ backend: B) throws {
        let stack = try makeStack(on: backend)
        let x = try backend.makeBuffer(count: 3 * 2 * 2)
        let lengths = try backend.indices([3, length])
        expectError(
          .badData, "the length in row 1 must be at least 0 and at most 3, but is \(length)"
        ) {
          try stack.forward(x: x, lengths: lengths, initial: nil, final: nil)
        }
      }
      try check(backend)
    }
  }

  @Test func aBufferThatIsTooSmallIsRefused() throws {
    try onEachBackend { backend in
      func check<B: Backend>(_ backend: B) throws {
        let (small, large) = (try backend.makeBuffer(count: 11), try backend.makeBuffer(count: 12))
        expectError(.usage, "x: expected a buffer of 3 · 4 elements, found one of 11") {
          try backend.linearForward(
            x: small, weight: large, bias: nil, y: large, rows: 3, inputSize: 4, outputSize: 2)
        }
        expectError(
          .usage, "weight: expected a buffer of 4611686018427387904 · 4 elements, found one of 12"
        ) {
          try backend.linearForward(
            x: large, weight: large, bias: nil, y: large, rows: 3, inputSize: 4,
            outputSize: 1 << 62)
        }
        expectError(.usage, "read: expected a buffer of 12 elements, found one of 11") {
          _ = try backend.read(small, count: 12)
        }
        expectError(.usage, "fill: expected a buffer of -1 elements, found one of 11") {
          try backend.fill(small, count: -1, with: 0)
        }
        expectError(.usage, "a slice of 2 elements from 10 on is not in a buffer of 11") {
          _ = try backend.slice(small, offset: 10, count: 2)
        }
        let stack = try makeStack(on: backend)
        expectError(.usage, "x: expected a buffer of 6 · 2 elements, found one of 11") {
          try stack.forward(x: small, initial: nil, final: nil)
        }
        try stack.forward(x: large, initial: nil, final: nil)
        let gradY = try backend.makeBuffer(count: 3 * 2 * 5 - 1)
        expectError(.usage, "gradY: expected a buffer of 30 elements, found one of 29") {
          try stack.backward(x: large, initial: nil, gradY: gradY)
        }
      }
      try check(backend)
    }
  }

  @Test func sizesBelowOneAreRefused() throws {
    try onEachBackend { backend in
      func check<B: Backend>(_ backend: B) throws {
        for sequenceLength in [0, -1, .min] {
          expectError(.usage, "the sequence length must be at least 1, but is \(sequenceLength)") {
            _ = try makeStack(on: backend, sequenceLength: sequenceLength)
          }
        }
        expectError(.noDevice, "\(Int.max) steps of 2 sequences are more than any device holds") {
          _ = try makeStack(on: backend, sequenceLength: .max)
        }
        let layer = RecurrentLayer(cell: .lstm, inputSize: 2, hiddenSize: 0)
        expectError(.usage, "the hidden size must be at least 1, but is 0") {
          _ = try backend.makeReserve(for: layer, sequenceLength: 1, batchSize: 1, training: false)
        }
      }
      try check(backend)
    }
  }

  private nonisolated func makeStack<B: Backend>(on backend: B, sequenceLength: Int = 3) throws
    -> RecurrentStack<B>
  {
    let configuration = RecurrentConfiguration(inputSize: 2, hiddenSize: 5)
    let store = try ParameterStore(configuration.parameterDescriptions, backend: backend, seed: 1)
    return try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: sequenceLength, batchSize: 2,
      training: true)
  }
}
