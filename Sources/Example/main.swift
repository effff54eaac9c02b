// Trains an LSTM on a few lines of text and lets it write.
import Carousel
import Foundation

let poem = """
  Tyger Tyger, burning bright,
  In the forests of the night;
  What immortal hand or eye,
  Could frame thy fearful symmetry?

  """

func train<B: Backend>(on backend: B) throws {
  let text = TrainingText(String(repeating: poem, count: 10).utf8)
  var settings = TrainingSettings(
    recurrent: RecurrentConfiguration(cell: .lstm, inputSize: 16, hiddenSize: 32),
    bounds: TrainingBounds(maxSteps: 300))
  settings.sequenceLength = 24
  settings.batchSize = 4
  settings.schedule.peak = 0.02
  let trainer = try Trainer(text, settings: settings, backend: backend)
  var losses: [Double] = []
  _ = try trainer.run { event in
    guard case .logged(let metrics, _) = event, let loss = metrics.trainingLoss else { return }
    losses.append(loss)
    print("step \(metrics.step): loss \(loss)")
  }
  var sample: [UInt8] = []
  try TextGenerator(trainer.network, vocabulary: trainer.vocabulary).generate(
    prompt: Array("Tyger".utf8), length: 100, sampler: TokenSampler(temperature: 0.5), seed: 1
  ) { sample.append($0) }
  print("on \(backend.name): Tyger" + String(decoding: sample, as: UTF8.self))
  guard losses.count == 3, losses[2] < 0.5 * losses[0] else {
    throw CarouselError(.checkFailed, "the loss did not fall by half: \(losses)")
  }
}

let devices = (try? Device.all()) ?? []
let backend: any Backend =
  devices.isEmpty ? ReferenceBackend() : try OpenCLBackend(device: Device.select("auto"))
try train(on: backend)
