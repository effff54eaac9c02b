import Foundation
import Testing

/// Needs an OpenCL device; of two processes that run the same tests side by side each compiles the kernels of
/// cases that the other does not.
///
/// PoCL compiles on one core of a process, which is most of what these tests take from an empty cache. So
/// `Tools/test` runs them in two: both name a folder in `CAROUSEL_SHARED_CASES`, in which whoever begins a case
/// claims it. The main process runs all cases, those that the other one claimed after it, when their kernels are
/// in PoCL's cache. The one ahead, which has `CAROUSEL_RUNS_AHEAD=1`, leaves out what the main process claimed,
/// and nobody looks at what it finds.
struct DeviceTrait: TestTrait, SuiteTrait, TestScoping {
  let isRecursive = true

  func prepare(for test: Test) async throws {
    try await ConditionTrait.enabled("needs an OpenCL device") { Machine.hasDevice }
      .prepare(for: test)
  }

  func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? {
    testCase == nil ? nil : self
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    guard let shared = SharedCases.current, let testCase else { return try await body() }
    try await shared.run("\(test.id) \(testCase)", body)
  }
}

extension Trait where Self == DeviceTrait {
  static var device: Self { DeviceTrait() }
}

/// The cases that two processes share, in a folder that both know.
private actor SharedCases {
  static let current = ProcessInfo.processInfo.environment["CAROUSEL_SHARED_CASES"].map {
    SharedCases(
      folder: $0, isAhead: ProcessInfo.processInfo.environment["CAROUSEL_RUNS_AHEAD"] == "1")
  }

  private let folder: String, isAhead: Bool
  private var isBusy = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(folder: String, isAhead: Bool) {
    (self.folder, self.isAhead) = (folder, isAhead)
  }

  /// Runs a case as its process should: a case is claimed only when its turn comes.
  func run(_ name: String, _ body: @Sendable () async throws -> Void) async throws {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a.
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let path = "\(folder)/\(String(hash, radix: 16))"
    await begin()
    let isMine = create(path + ".claimed")
    if !isMine {
      end()
      if isAhead { return }
      // What the other process does not finish within two minutes is not waited for.
      for _ in 0..<2400 where !FileManager.default.fileExists(atPath: path + ".done") {
        try await Task.sleep(for: .milliseconds(50))
      }
      await begin()
    }
    defer {
      _ = create(path + ".done")
      end()
    }
    try await body()
  }

  private func begin() async {
    if isBusy {
      await withCheckedContinuation { waiting.append($0) }
    } else {
      isBusy = true
    }
  }

  private func end() {
    if waiting.isEmpty {
      isBusy = false
    } else {
      // Who waits is busy from here on.
      waiting.removeFirst().resume()
    }
  }

  /// Whether there was no such file.
  private func create(_ path: String) -> Bool {
    let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
  }
}
