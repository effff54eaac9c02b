import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselReference
import Foundation

// What libFuzzer calls with bytes that it makes up; `Tools/fuzz` builds and runs it.

/// The file that holds the bytes, in the memory of the machine; its ending says what it is.
private let path: String = {
  let environment = ProcessInfo.processInfo.environment
  let ending = environment["CAROUSEL_FUZZ"] ?? "onnx"
  return (environment["CAROUSEL_FUZZ_FOLDER"] ?? "/dev/shm") + "/fuzzed-\(getpid()).\(ending)"
}()

/// Reads the bytes as a file; whatever comes, there is a result or an error.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeBufferPointer(start: data, count: size)
  guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
    fatalError("\(path) cannot be written")
  }
  defer { unlink(path) }
  do {
    let file = try TensorFile(path)
    for entry in file.entries where entry.elementType != nil { _ = try? file.tensor(entry) }
    if path.hasSuffix(".onnx") { try compute(ONNXModel(contentsOf: path)) }
  } catch let error as CarouselError {
    precondition(
      [.badData, .missingInput, .usage, .noDevice].contains(error.kind), error.message)
  } catch {
    fatalError("\(error)")
  }
  return 0
}

/// Computes a small model once, with ones.
private func compute(_ model: ONNXModel) throws {
  var shapes: [String: Shape] = [:]
  var constants: [String: GraphTensor] = [:]
  for input in model.graph.inputs {
    let extents = (input.dimensions ?? []).map { dimension in
      if case .fixed(let extent) = dimension { extent } else { 2 }
    }
    guard let count = Shape.count(of: extents), count <= 4096 else { return }
    let shape = try Shape(dimensions: extents)
    if input.type.isReal {
      shapes[input.name] = shape
    } else {
      constants[input.name] = GraphTensor(
        Tensor(shape, [Double](repeating: 1, count: count)), type: input.type)
    }
  }
  guard model.graph.parameters.allSatisfy({ $0.description.shape.count <= 4096 }) else { return }
  let bound = try GraphModel(model.graph, backend: ReferenceBackend())
  try bound.load(model.parameters, source: path)
  let pass = try bound.pass(shapes: shapes, constants: constants)
  try pass.forward(
    shapes.mapValues { GraphTensor(Tensor($0, [Double](repeating: 1, count: $0.count))) })
  _ = try pass.outputs()
}
