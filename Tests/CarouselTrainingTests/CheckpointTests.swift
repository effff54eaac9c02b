import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

@Suite struct CheckpointTests {
  private func trained() throws -> (TemporaryFolder, Trainer<ReferenceBackend>) {
    let folder = try TemporaryFolder()
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 6))
    _ = try trainer.run(in: folder.run)
    return (folder, trainer)
  }

  /// Reads the last checkpoint, lets `change` spoil it, and writes it back.
  private func spoil(_ run: RunFolder, _ change: (inout SafetensorsFile) throws -> Void) throws {
    var file = try SafetensorsFile(contentsOf: run.last)
    try change(&file)
    try file.write(to: run.last, elementType: .float64)
  }

  @Test func keepsEveryBit() throws {
    let (folder, trainer) = try trained()
    let checkpoint = try Checkpoint(at: folder.run.last)
    #expect(checkpoint.description.settings == trainer.settings)
    #expect(checkpoint.description.vocabulary == trainer.vocabulary)
    #expect(checkpoint.description.position == trainer.position)
    let network = try checkpoint.makeNetwork(backend: ReferenceBackend(sliceAlignment: 16))
    #expect(
      try network.parameters.tensors().map(\.tensor)
        == trainer.network.parameters.tensors().map(\.tensor))
  }

  /// The moments of a checkpoint get a type that cannot be read.
  @Test func momentsAreReadOnlyToResume() throws {
    let (folder, _) = try trained()
    let url = URL(fileURLWithPath: folder.run.last)
    var data = try Data(contentsOf: url)
    let name = try #require(data.range(of: Data(#""optimizer.0.output.bias""#.utf8)))
    let type = try #require(data.range(of: Data("F64".utf8), in: name.upperBound..<data.endIndex))
    data[type.lowerBound] = UInt8(ascii: "Q")
    try data.write(to: url)
    let checkpoint = try Checkpoint(at: url.path)
    _ = try checkpoint.makeNetwork(backend: ReferenceBackend())
    expectError(.badData, "'optimizer.0.output.bias' has the dtype 'Q64'") {
      _ = try Trainer(
        resuming: checkpoint, text: TestRun.text, backend: ReferenceBackend())
    }
  }

  @Test func aFolderStandsForItsBestCheckpoint() throws {
    let (folder, _) = try trained()
    #expect(try Checkpoint(at: folder.run.path).path == folder.run.best)
    try FileManager.default.removeItem(atPath: folder.run.best)
    #expect(try Checkpoint(at: folder.run.path).path == folder.run.last)
    expectError(.missingInput, folder.path, "best.safetensors") {
      _ = try Checkpoint(at: folder.path)
    }
    expectError(.missingInput, "nowhere") { _ = try Checkpoint(at: folder.path + "/nowhere") }
  }

  @Test func aFolderWithARunIsNotTakenByAnother() throws {
    let (folder, _) = try trained()
    expectError(.usage, folder.run.path, "--resume", "--force") { try folder.run.requireNoRun() }
    #expect(throws: Never.self) { try RunFolder(folder.path).requireNoRun() }
  }

  @Test func aNewRunInAnOldFolderLeavesNothingOfTheOldOne() throws {
    let (folder, _) = try trained()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 3)).run(in: folder.run)
    #expect(try metrics(folder.run).map(\.step) == [3])
    #expect(try Checkpoint(contentsOf: folder.run.best).description.position.step == 3)
  }

  @Test func settingsAreWrittenResolved() throws {
    let (folder, _) = try trained()
    let object = try JSONSerialization.jsonObject(
      with: Data([UInt8](contentsOfFile: folder.run.settings)))
    let root = try #require(object as? [String: Any])
    let settings = try #require(root["settings"] as? [String: Any])
    #expect(settings["batchSize"] as? Int == 3)
    #expect((settings["schedule"] as? [String: Any])?["decay"] as? String == "inverse-sqrt")
    #expect((settings["bounds"] as? [String: Any])?["maxSteps"] as? Int == 6)
  }

  @Test func halfAFileIsRefused() throws {
    let (folder, _) = try trained()
    let bytes = try [UInt8](contentsOfFile: folder.run.last)
    for count in [0, 7, 100, bytes.count / 2, bytes.count - 1] {
      try Data(bytes[..<count]).write(to: URL(fileURLWithPath: folder.run.last))
      expectError(.badData, folder.run.last) { _ = try Checkpoint(contentsOf: folder.run.last) }
    }
  }

  @Test(arguments: ["output.weight", "recurrent.weight_hh_l1"], [Double.nan, .infinity])
  func weightsThatAreNotFiniteAreRefused(name: String, value: Double) throws {
    let (folder, _) = try trained()
    try spoil(folder.run) { file in
      let index = try #require(file.tensors.firstIndex { $0.name == name })
      file.tensors[index].tensor[3] = value
    }
    expectError(.badData, folder.run.last, name, "element 3") {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
  }

  @Test func momentsThatAreNotFiniteAreRefused() throws {
    let (folder, _) = try trained()
    try spoil(folder.run) { file in
      let index = try #require(
        file.tensors.firstIndex { $0.name == "optimizer.1.output.bias" })
      file.tensors[index].tensor[0] = .nan
    }
    expectError(.badData, "optimizer.1.output.bias") {
      _ = try Trainer(
        resuming: Checkpoint(contentsOf: folder.run.last), text: TestRun.text,
        backend: ReferenceBackend())
    }
  }

  @Test func aMissingTensorAndAnotherShapeAreNamed() throws {
    let (folder, _) = try trained()
    try spoil(folder.run) { $0.tensors.removeAll { $0.name == "embedding.weight" } }
    expectError(.badData, "embedding.weight") {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
    try spoil(folder.run) { file in
      file.tensors.append(("embedding.weight", Tensor(zeros: [2, 2])))
    }
    expectError(.badData, "embedding.weight", "[2, 2]") {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
  }

  @Test(arguments: [
    ("\"hiddenSize\":6", "\"hiddenSize\":7", "weight_ih_l0"),
    ("\"hiddenSize\":6", "\"hiddenSize\":0", "hidden size"),
    ("\"hiddenSize\":6", "\"hiddenSize\":4611686018427387904", "hidden size"),
    ("\"layers\":2", "\"layers\":3", "weight_ih_l2"),
    ("\"cell\":\"lstm\"", "\"cell\":\"perceptron\"", "network.recurrent.cell"),
    ("\"task\":\"text\"", "\"task\":\"tug\"", "'task'"),
    ("\"task\":\"text\"", "\"task\":\"tag\"", "expected no vocabulary of bytes"),
    ("\"version\":1", "\"version\":9", "version 9"),
    ("\"vocabularySize\":28", "\"vocabularySize\":27", "27 bytes"),
    ("\"position\":", "\"elsewhere\":", "position"),
    ("{", "", "carousel"),
  ])
  func aWrongDescriptionIsRefused(old: String, new: String, word: String) throws {
    let (folder, _) = try trained()
    try spoil(folder.run) { file in
      let text = try #require(file.metadata["carousel"])
      #expect(text.contains(old))
      file.metadata["carousel"] = text.replacingOccurrences(of: old, with: new)
    }
    expectError(.badData, folder.run.last, word) {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
  }

  @Test func aFileWithoutADescriptionIsRefused() throws {
    let (folder, _) = try trained()
    try spoil(folder.run) { $0.metadata = [:] }
    expectError(.badData, "a checkpoint of 'carousel train'", "tensors alone") {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
  }

  @Test func aFolderThatCannotBeMadeIsAFailedWrite() throws {
    let folder = try TemporaryFolder()
    try Data([1]).write(to: URL(fileURLWithPath: folder.path + "/file"))
    expectError(.writeFailed, "/file: ", "File exists") {
      _ = try TestRun.trainer(TestRun.settings(maxSteps: 1)).run(
        in: RunFolder(folder.path + "/file/run"))
    }
  }
}
