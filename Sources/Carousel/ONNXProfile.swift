import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselOpenCL

/// A pass of a model from an ONNX file that is timed over and over, operator by operator.
package struct ONNXProfile: Sendable {
  /// The model and its inputs.
  package let model: ONNXModel, inputs: GraphInputs
  /// Whether a pass is forward and backward, with gradients of all parameters and real inputs.
  package let training: Bool
  /// The passes that are timed, and those before that are not.
  package let iterations: Int, warmup: Int

  /// Describes the work.
  package init(
    _ model: ONNXModel, inputs: GraphInputs, training: Bool, iterations: Int, warmup: Int
  ) {
    self.model = model
    self.inputs = inputs
    self.training = training
    self.iterations = iterations
    self.warmup = warmup
  }

  /// Times the passes, and in the median one each operator: forward and backward together, by the launches
  /// that its instructions make.
  ///
  /// What a pass costs the host, writing the inputs that are given for it too, is part of its time. Throws
  /// where the inputs do not fit and where the device fails.
  package func measure(
    on backend: OpenCLBackend, progress: (String) -> Void = { _ in }
  ) throws -> (measurement: ProfileMeasurement, operators: [ProfileReport.Operator]) {
    let bound = try GraphModel(model.graph, backend: backend)
    try bound.load(model.parameters, source: model.source)
    let real = inputs.real
    let pass: GraphPass<OpenCLBackend>
    let given: [String]
    do {
      let program = try GraphProgram(
        model.graph, shapes: real.mapValues(\.shape), constants: inputs.whole)
      given = program.outputs.filter { !$0.isKnown && $0.type.isReal }.map(\.name)
      pass = try bound.pass(
        shapes: real.mapValues(\.shape), constants: inputs.whole, training: training,
        gradientsOf: training ? given : nil, inputGradients: training ? real.keys.sorted() : [])
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(model.source): \(error.message)")
    }
    var gradients: [String: Tensor] = [:]
    if training {
      for (index, output) in pass.program.outputs.enumerated() where given.contains(output.name) {
        gradients[output.name] = ComparisonInput.normal(output.shape, seed: 1, index: 100 + index)
      }
    }
    var places: [(label: ProgramLabel, launches: Int)] = []
    let measurement = try ProfileMeasurement.measure(
      on: backend, iterations: iterations, warmup: warmup, flops: nil, progress: progress
    ) {
      places = []
      let first = backend.launchCount
      pass.observer = { label in places.append((label, backend.launchCount - first)) }
      try pass.forward(real)
      if training { try pass.backward(gradients) }
    }
    return (measurement, Self.operators(places, measurement.medianPass.launches))
  }

  /// Adds up launches by the operator whose instruction made them.
  private static func operators(
    _ places: [(label: ProgramLabel, launches: Int)], _ launches: [LaunchRecord]
  ) -> [ProfileReport.Operator] {
    let total = launches.reduce(0) { $0 + $1.seconds }
    var sums: [ProgramLabel: (launches: Int, seconds: Double)] = [:]
    var begin = 0
    for (label, end) in places where end <= launches.count {
      let part = launches[begin..<end]
      begin = end
      sums[label, default: (0, 0)].launches += part.count
      sums[label, default: (0, 0)].seconds += part.reduce(0) { $0 + $1.seconds }
    }
    return sums.filter { $0.value.launches > 0 }.map { label, sum in
      ProfileReport.Operator(
        name: label.operation, node: label.node, launches: sum.launches,
        totalSeconds: sum.seconds, share: total > 0 ? sum.seconds / total : 0)
    }.sorted { ($1.totalSeconds, $0.node) < ($0.totalSeconds, $1.node) }
  }
}
