import CarouselModel
import CarouselTraining
import Testing

@Suite struct LearningRateScheduleTests {
  @Test func warmUpRisesToThePeak() {
    let schedule = LearningRateSchedule(.constant, peak: 0.4, warmupSteps: 4)
    let rates = (0..<6).map { schedule.learningRate(step: $0, fraction: 0) }
    #expect(rates == [0.1, 0.2, 0.4 * 3 / 4, 0.4, 0.4, 0.4])
  }

  @Test func cosineAndLinearEndAtTheFinalRate() {
    let cosine = LearningRateSchedule(.cosine, peak: 0.3, final: 0.1)
    let linear = LearningRateSchedule(.linear, peak: 0.3, final: 0.1)
    for (fraction, expected) in [(0.0, 0.3), (0.5, 0.2), (1.0, 0.1), (1.5, 0.1)] {
      #expect(abs(cosine.learningRate(step: 9, fraction: fraction) - expected) < 1e-15)
      #expect(abs(linear.learningRate(step: 9, fraction: fraction) - expected) < 1e-15)
    }
    let quarter = cosine.learningRate(step: 9, fraction: 0.25)
    #expect(abs(quarter - (0.2 + 0.1 * 0.5.squareRoot())) < 1e-15)
  }

  @Test func stepFallsByItsFactorAfterTheWarmUp() {
    let schedule = LearningRateSchedule(
      .step, peak: 0.8, final: 0.15, warmupSteps: 2, decaySteps: 3, decayFactor: 0.5)
    let rates = (2..<13).map { schedule.learningRate(step: $0, fraction: 0) }
    #expect(rates == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.15, 0.15])
  }

  @Test func inverseSquareRootHalvesAtFourTimesItsPeriod() {
    let schedule = LearningRateSchedule(
      .inverseSquareRoot, peak: 0.8, warmupSteps: 10, decaySteps: 100)
    #expect(schedule.learningRate(step: 60, fraction: 0) == 0.8)
    #expect(schedule.learningRate(step: 110, fraction: 0) == 0.8)
    #expect(schedule.learningRate(step: 410, fraction: 0) == 0.4)
  }

  @Test func onlyBoundsInStepsGiveAHorizon() {
    #expect(TrainingBounds(maxSeconds: 5).horizon(windowCount: 10) == nil)
    #expect(TrainingBounds(maxEpochs: 3).horizon(windowCount: 10) == 30)
    #expect(TrainingBounds(maxEpochs: 3, maxSteps: 7).horizon(windowCount: 10) == 7)
    #expect(TrainingBounds(maxEpochs: .max).horizon(windowCount: 10) == .max)
  }
}

@Suite struct TrainingSettingsTests {
  private typealias Change = (inout TrainingSettings) -> Void

  @Test func sensibleSettingsPass() throws {
    try TestRun.settings(maxSteps: 1).validate()
  }

  @Test func nonsenseIsAUsageError() {
    let changes: [(Change, String)] = [
      ({ $0.sequenceLength = 0 }, "steps"), ({ $0.batchSize = -1 }, "batch size"),
      ({ $0.recurrent.hiddenSize = 0 }, "hidden size"), ({ $0.validation = 1 }, "validation"),
      ({ $0.validation = .nan }, "validation"), ({ $0.clipNorm = 0 }, "clipping"),
      ({ $0.schedule.peak = .nan }, "learning rate"), ({ $0.schedule.peak = 0 }, "learning rate"),
      ({ $0.schedule.final = 1 }, "final"), ({ $0.schedule.warmupSteps = -1 }, "warm-up"),
      ({ $0.schedule.decayFactor = 0 }, "factor"), ({ $0.patience = 0 }, "patience"),
      ({ $0.evaluateEvery = 0 }, "evaluations"), ({ $0.logEvery = 0 }, "metrics"),
      ({ $0.bounds = TrainingBounds() }, "bound"), ({ $0.bounds.maxSteps = 0 }, "steps"),
      ({ $0.bounds.maxSeconds = .nan }, "time"), ({ $0.optimizer.momentum = 1 }, "momentum"),
      ({ $0.optimizer.weightDecay = -1 }, "weight decay"),
      ({ $0.scheduleBy = .time }, "schedule by time"),
    ]
    for (change, word) in changes {
      var settings = TestRun.settings(maxSteps: 1)
      change(&settings)
      expectError(.usage, word) { try settings.validate() }
    }
  }

  @Test func cosineNeedsAnEnd() {
    var settings = TestRun.settings(maxSteps: 1)
    settings.schedule.decay = .cosine
    settings.bounds = TrainingBounds(maxSeconds: 60)
    expectError(.usage, "cosine") { try settings.validate() }
    settings.scheduleBy = .time
    #expect(throws: Never.self) { try settings.validate() }
  }

  @Test func sizesBeyondEveryDeviceAreNamed() {
    var settings = TestRun.settings(maxSteps: 1)
    settings.recurrent.hiddenSize = .max / 2
    expectError(.noDevice, "hidden size") { _ = try TestRun.trainer(settings) }
  }
}
