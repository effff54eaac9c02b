import Carousel

extension Profile {
  /// The layers of a file; nil where none was given.
  var modelConfiguration: RecurrentConfiguration? {
    get throws {
      guard let model else { return nil }
      guard given.isEmpty else {
        throw CarouselError(
          .usage,
          "\(model): --inputs, --shape and --value are for ONNX models; layers are timed by "
            + "--sequence-length and --batch-size")
      }
      let found = try RecurrentModel(
        contentsOf: model, prefix: prefix.prefix, hints: recurrent.hints)
      return try found.reading(as: recurrent.configuration(defaults: found.configuration))
        .configuration
    }
  }

  /// Throws where options are given that an ONNX model has no use for.
  func refuseLayerOptions(_ path: String) throws {
    guard recurrent.isEmpty, prefix.prefix == nil, batch.lengths == nil, !plan, !tune else {
      throw CarouselError(
        .usage,
        "\(path): an ONNX model says all of itself, but layer options, --lengths, --prefix, --plan or "
          + "--tune were given")
    }
  }

  /// Times the operators of a model from an ONNX file.
  func profileONNX(
    _ path: String
  ) throws -> (report: ProfileReport, measurement: ProfileMeasurement, device: Device) {
    try refuseLayerOptions(path)
    Progress.show(Status("reading"))
    let file = try given.inputs.map { path throws(CarouselError) in try TensorFile(path) }
    let (model, inputs) = try given.model(
      at: path, file: file, work: batch.work, seed: seed.seed)
    let profile = ONNXProfile(
      model, inputs: inputs, training: mode == .training,
      iterations: try atLeastOne(iterations, "--iterations"), warmup: warmup)
    let backend = try device.makeOpenCLBackend(profiling: !wallOnly)
    let (measurement, operators) = try profile.measure(on: backend) { words in
      Progress.show(Status(words))
    }
    var result = ProfileReport(
      device: backend.device,
      details: [
        ("model", .text(path)), ("mode", .text(mode.rawValue)),
        ("operators", .integer(model.graph.nodes.count)),
        (
          "parameters",
          .integer(model.parameters.values.reduce(0) { $0 + $1.shape.count })
        ),
        (
          "inputs",
          .text(
            inputs.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.shape)" }.joined(
              separator: " "))
        ), ("kernels", .text(device.kernels.rawValue)),
        ("precision", .text(backend.precision.rawValue)), ("iterations", .integer(iterations)),
        ("warmup", .integer(warmup)),
      ], measurement: measurement)
    result.operators = operators
    return (result, measurement, backend.device)
  }
}
