import CarouselFormats
import CarouselModel
import SwiftProtobuf

extension ONNXModel {
  /// Writes the file's model with other values for parameters: inputs, outputs, operators, names and all
  /// else stay, but that an attribute of 0 is left out, which means the same.
  ///
  /// Weights of recurrent nodes go back to where they came from, however the file's nodes rearrange them
  /// on the way. Each is rounded to the type that the file has for it. Numbers that were in separate files
  /// are put into this one.
  ///
  /// - Parameters:
  ///   - values: the parameters that are other than the file's, by name.
  ///   - path: the file to write, the model's own too.
  /// - Throws: a usage error where there is no such parameter; `badData` where the file stores one in
  ///   several places that would now differ, or as whole numbers, or is no longer what it was;
  ///   `writeFailed`.
  public func write(_ values: [String: Tensor], to path: String) throws(CarouselError) {
    try AtomicFile.requireWritable(path)
    let file = try ONNXFile(source)
    let places = try ONNXImporter.places(of: file)
    var updates = TensorUpdates(places: places, file: file)
    for (name, tensor) in values.sorted(by: { $0.key < $1.key }) {
      guard parameters[name] != nil else {
        throw CarouselError(.usage, "\(source): the model has no parameter '\(name)'")
      }
      try updates.add(name, tensor)
    }
    var model = file.model
    var number = 0
    try model.updateTensors { tensor throws(CarouselError) in
      defer { number += 1 }
      tensor = try updates.updated(tensor, number)
    }
    let bytes: [UInt8]
    do {
      bytes = try model.serializedBytes()
    } catch {
      throw CarouselError(
        .badData,
        "\(source): the model with its weights is larger than the 2 GB that an ONNX file may have")
    }
    try AtomicFile.write(bytes, to: path)
  }

  /// Throws a usage error where one of these parameters cannot be written back, before it is trained.
  public func requireWritable(_ names: [String]) throws(CarouselError) {
    let file = try ONNXFile(source)
    var updates = TensorUpdates(places: try ONNXImporter.places(of: file), file: file)
    for name in names.sorted() {
      guard let tensor = parameters[name] else { continue }
      do {
        try updates.add(name, tensor, isTrial: true)
      } catch {
        throw CarouselError(.usage, error.message + "; --freeze '\(name)' leaves it as it is")
      }
    }
  }
}

/// Where the elements of parameters are in the tensors of a file.
struct ONNXPlaces {
  /// For each parameter the places of its elements: 0 for what is no element of the file, else one more
  /// than the element's number, counted through all tensors of the file.
  let parameters: [String: Tensor]
  /// The number of each tensor's first element, and behind the last that of all elements.
  let begins: [Int]

  /// The tensor and the element in it.
  func find(_ place: Double) -> (tensor: Int, element: Int)? {
    let number = Int(place) - 1
    guard number >= 0, number < begins[begins.count - 1] else { return nil }
    // The last tensor that begins no later; empty ones begin where the next does.
    var (low, high) = (0, begins.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if begins[middle] <= number { low = middle } else { high = middle }
    }
    return (low, number - begins[low])
  }
}

extension ONNXImporter {
  /// Imports a model with places in place of its numbers, so that what rearranges weights says where each
  /// came from.
  static func places(of file: ONNXFile) throws(CarouselError) -> ONNXPlaces {
    let importer = try ONNXImporter(file, tracksPlaces: true)
    _ = try importer.run()
    return ONNXPlaces(parameters: importer.parameters, begins: importer.placeBegins)
  }
}

/// The tensors of a file with elements replaced.
private struct TensorUpdates {
  let places: ONNXPlaces
  let file: ONNXFile
  /// New elements by tensor; nil for those that stay.
  private var elements: [Int: [Double?]] = [:]

  init(places: ONNXPlaces, file: ONNXFile) {
    self.places = places
    self.file = file
  }

  mutating func add(
    _ name: String, _ tensor: Tensor, isTrial: Bool = false
  ) throws(CarouselError) {
    guard let map = places.parameters[name], map.shape == tensor.shape else {
      throw file.failure("the parameter '\(name)' \(tensor.shape) is no longer in the file")
    }
    for (place, value) in zip(map.values, tensor.values) {
      guard let (number, element) = places.find(place) else {
        throw file.failure(
          "the parameter '\(name)' is computed from whole numbers, which training cannot change")
      }
      if elements[number] == nil {
        let count = places.begins[number + 1] - places.begins[number]
        elements[number] = [Double?](repeating: nil, count: count)
      }
      if let other = elements[number]?[element], isTrial || other != value {
        throw file.failure(
          "a tensor of the file is used more than once, for the parameter '\(name)' too, and would be "
            + "trained apart")
      }
      elements[number]?[element] = value
    }
  }

  func updated(
    _ tensor: ONNXTensorProto, _ number: Int
  ) throws(CarouselError) -> ONNXTensorProto {
    guard let new = elements[number] else { return try file.inlined(tensor) }
    if new.allSatisfy({ $0 != nil }) {
      return try file.replacing(tensor, with: new.compactMap(\.self))
    }
    let old = try file.tensor(tensor).tensor.values
    return try file.replacing(tensor, with: zip(old, new).map { $1 ?? $0 })
  }
}
