import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// How long a run takes, by a clock that goes on by a second for each step and each pass of an evaluation.
@Suite struct RunTimeTests {
  private final class Clock {
    var seconds = 0.0
  }

  /// A run of which 4 passes evaluate: at what step and at what time it ended.
  private func run(
    _ bounds: TrainingBounds, evaluateEvery: Int = 1000
  ) throws -> TrainingPosition {
    var settings = TestRun.settings(maxSteps: 1)
    settings.bounds = bounds
    settings.sequenceLength = 4
    settings.batchSize = 100
    settings.evaluateEvery = evaluateEvery
    let trainer = try Trainer(.adding, settings: settings, backend: ReferenceBackend())
    #expect(trainer.loop.evaluator?.passCount == 10)
    let clock = Clock()
    trainer.loop.now = { clock.seconds }
    return try trainer.run(
      shouldStop: {
        clock.seconds += 1
        return false
      }, report: { _ in }
    ).position
  }

  @Test func theLastEvaluationIsPartOfTheTime() throws {
    // Two passes to measure the evaluation, 10 to do it, a second for each step.
    let position = try run(TrainingBounds(maxSeconds: 60))
    #expect(position.seconds == 60)
    #expect(position.evaluation?.step == position.step)
    #expect(position.step == 48)
  }

  @Test func anEvaluationThatWasDoneIsNotDoneAgain() throws {
    let position = try run(TrainingBounds(maxSeconds: 60), evaluateEvery: 38)
    // Another step would need another evaluation.
    #expect(position.seconds == 50 && position.step == 38)
    #expect(position.evaluation?.step == 38)
  }

  @Test func anEvaluationThatNeedsAllTheTimeLeavesOneStep() throws {
    let position = try run(TrainingBounds(maxSeconds: 5))
    #expect(position.step == 1 && position.evaluation?.step == 1)
  }

  @Test func theLastEvaluationOfAGraphIsPartOfTheTimeToo() throws {
    var settings = OwnExamples.settings(maxSteps: 1)
    settings.bounds = TrainingBounds(maxSeconds: 40)
    settings.evaluateEvery = 1000
    let trainer = try GraphTrainer(
      OwnExamples.graph(), training: OwnExamples.make(22),
      validation: OwnExamples.make(14, seed: 2), settings: settings, backend: ReferenceBackend())
    #expect(trainer.loop.evaluator?.passCount == 4)
    let clock = Clock()
    trainer.loop.now = { clock.seconds }
    let position = try trainer.run(shouldStop: {
      clock.seconds += 1
      return false
    }).position
    // Four passes before the first step, and four at the end.
    #expect(position.seconds == 40 && position.step == 32)
    #expect(position.evaluation?.step == 32)
  }
}
