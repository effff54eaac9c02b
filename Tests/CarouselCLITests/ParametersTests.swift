import Testing

@Suite struct ParametersTests {
  @Test func countsOfAnLSTMWithItsOutput() throws {
    let command = try Command([
      "parameters", "--input-size", "8", "--hidden-size", "128", "--no-bias", "--output-size",
      "10", "--steps", "5", "--json",
    ])
    let weights = 4 * 128 * (8 + 128) + 10 * 128
    #expect(command.status == 0)
    #expect(try command.json["total"] as? Int == weights)
    let unrolled = try #require(try command.json["unrolled"] as? [String: Int])
    #expect(unrolled == ["steps": 5, "weightUses": 5 * weights])
    let tensors = try #require(try command.json["tensors"] as? [[String: Any]])
    #expect(
      tensors.map { $0["name"] as? String } == [
        "recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "output.weight",
      ])
    #expect(tensors.map { $0["shape"] as? [Int] } == [[512, 8], [512, 128], [10, 128]])
    #expect(tensors.map { $0["count"] as? Int } == [4096, 65536, 1280])
  }

  @Test func severalCellsStandSideBySide() throws {
    let options = [
      "parameters", "--cell", "rnn,gru,lstm", "--input-size", "3", "--hidden-size", "5",
      "--forget-bias", "1",
    ]
    let command = try Command(options + ["--json"])
    #expect(command.status == 0, "\(command.errors)")
    let cells = try #require(try command.json["cells"] as? [[String: Any]])
    #expect(cells.map { $0["cell"] as? String } == ["rnn", "gru", "lstm"])
    #expect(cells.map { $0["total"] as? Int } == [1, 3, 4].map { $0 * 5 * (3 + 5 + 2) })
    let lines = try Command(options).output.split(separator: "\n")
    #expect(lines.count == 4 && lines[2].hasPrefix("gru") && lines[2].contains("150"))
    for wrong in [["--reductions"], ["--override", "forgot=1"]] {
      let command = try Command(options + wrong)
      #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
    }
  }

  @Test func aTrainedModelIsCountedWhole() throws {
    let folder = try Folder()
    let training = try Command([
      "train", "adding", "--output", folder["run"], "--device", "reference", "--cell", "gru",
      "--hidden-size", "4", "--sequence-length", "3", "--batch-size", "2", "--max-steps", "1",
      "--quiet",
    ])
    #expect(training.status == 0, "\(training.errors)")
    let command = try Command(["parameters", folder["run"], "--sequence-length", "7", "--json"])
    #expect(command.status == 0, "\(command.errors)")
    let total = 3 * 4 * (2 + 4 + 2) + 4 + 1
    #expect(try command.json["total"] as? Int == total)
    let unrolled = try #require(try command.json["unrolled"] as? [String: Int])
    #expect(unrolled == ["steps": 7, "weightUses": 7 * total])
    let wrong = try Command(["parameters", folder["run"], "--hidden-size", "5"])
    #expect(wrong.status == 64 && wrong.isOneSentence, "\(wrong.errors)")
    let missing = try Command(["parameters", folder["none"]])
    #expect(missing.status == 66 && missing.isOneSentence, "\(missing.errors)")
  }

  @Test func everyBiasIsCounted() throws {
    func total(_ options: String...) throws -> Int? {
      try Command(
        ["parameters", "--json", "--input-size", "3", "--hidden-size", "5", "--layers", "2"]
          + options
      ).json["total"] as? Int
    }
    let weights = 20 * (3 + 5) + 20 * (5 + 5)
    #expect(try total("--bias", "none") == weights)
    #expect(try total("--bias", "single") == weights + 2 * 20)
    #expect(try total() == weights + 2 * 2 * 20)
    #expect(try total("--output-size", "7") == weights + 2 * 2 * 20 + 7 * 5 + 7)
    #expect(try total("--vocabulary-size", "11") == weights + 2 * 2 * 20 + 11 * 3)
  }

  @Test(arguments: [
    ("--cell rnn", 5 * (3 + 5 + 2)), ("--cell gru", 15 * (3 + 5 + 2)),
    ("--cell gru --recurrence diagonal", 15 * (3 + 1 + 2)),
    ("--cell rnn --recurrence diagonal --no-bias", 5 * (3 + 1)),
    ("--peepholes", 20 * 10 + 15), ("--peepholes --couple-input-forget", 15 * 10 + 10),
    ("--tie input=forget", 15 * 10), ("--tie forget=output", 15 * 10),
    ("--forget-decay 0.9", 15 * 10), ("--override forget=0", 20 * 10),
    ("--bidirectional", 2 * 20 * 10), ("--direction reverse", 20 * 10),
    ("--bidirectional --layers 2", 2 * 20 * 10 + 2 * 20 * (10 + 5 + 2)),
    ("--bidirectional --layers 2 --merge sum", 2 * 20 * 10 + 2 * 20 * (5 + 5 + 2)),
    ("--bidirectional --output-size 7", 2 * 20 * 10 + 7 * 10 + 7),
  ])
  func optionsCount(line: String, total: Int) throws {
    let command = try Command(
      ["parameters", "--json", "--input-size", "3", "--hidden-size", "5"]
        + line.split(separator: " ").map(String.init))
    #expect(try command.json["total"] as? Int == total)
  }

  /// An input of 20 features has 20 · 128 + 128 · 128 = 18,944 recurrent weights, as in PyTorch.
  @Test func anRNNOfTwentyFeaturesHasThatManyWeights() throws {
    let command = try Command([
      "parameters", "--cell", "rnn", "--input-size", "20", "--hidden-size", "128", "--output-size",
      "10", "--no-bias", "--steps", "5", "--json",
    ])
    #expect(try command.json["total"] as? Int == 18_944 + 1280)
    let unrolled = try #require(try command.json["unrolled"] as? [String: Any])
    #expect(unrolled["weightUses"] as? Int == 5 * (18_944 + 1280))
  }

  @Test func unrollingAnRNNCopiesUses() throws {
    let arguments = [
      "parameters", "--cell", "rnn", "--input-size", "8", "--hidden-size", "128", "--output-size",
      "10", "--no-bias", "--steps",
    ]
    let text = try Command(arguments + ["5"]).output
    for word in ["17408", "1280", "18688", "93440", "unrolling copies uses, not parameters"] {
      #expect(text.contains(word), "\(word)")
    }
    #expect(try Command(arguments + ["10"]).output.contains("186880"))
  }

  @Test func memoryGrowsWithTheSteps() throws {
    let command = try Command([
      "parameters", "--json", "--input-size", "3", "--hidden-size", "5", "--steps", "7",
      "--batch-size", "2",
    ])
    let memory = try #require(try command.json["memory"] as? [[String: Int]])
    #expect(memory.map { $0["sequenceLength"] } == [7, 14, 28, 56])
    for row in memory {
      let sequenceLength = try #require(row["sequenceLength"])
      #expect(row["weightBytes"] == 4 * 200)
      #expect(row["optimizerBytes"] == 8 * 200)
      #expect(row["activationBytes"] == 4 * 2 * sequenceLength * (3 + 6 * 5))
    }
  }

  @Test func reductionsStandBesideTheStandardCell() throws {
    let command = try Command([
      "parameters", "--json", "--cell", "lstm", "--input-size", "4", "--hidden-size", "6",
      "--reductions", "--measure", "--device", "reference", "--steps", "2", "--batch-size", "1",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let rows = try #require(try command.json["reductions"] as? [[String: Any]])
    let totals = Dictionary(
      uniqueKeysWithValues: rows.map { ($0["options"] as? String ?? "?", $0["total"] as? Int) })
    #expect(
      totals == [
        "": 24 * 12, "--bias single": 24 * 11, "--no-bias": 24 * 10,
        "--tie input=forget": 18 * 12, "--tie forget=output": 18 * 12,
        "--couple-input-forget": 18 * 12, "--forget-decay 0.9": 18 * 12,
        "--recurrence diagonal": 24 * 7, "--couple-input-forget --recurrence diagonal": 18 * 7,
        "--input-size 2": 24 * 10, "--recurrence blocks:2": 24 * (4 + 3 + 2),
        "--projection-size 3": 24 * (4 + 3 + 2) + 3 * 6,
      ])
    for row in rows {
      let share = try #require(row["share"] as? Double)
      #expect(share == Double(row["total"] as? Int ?? 0) / 288)
      #expect(try #require(row["medianSeconds"] as? Double) > 0)
    }
    let gru = try Command(["parameters", "--cell", "gru", "--reductions", "--no-bias"]).output
    #expect(gru.contains("--recurrence diagonal"))
    #expect(!gru.contains("forget") && !gru.contains("--bias single"))
  }

  @Test func sizesBeyondAllBoundsAreRefused() throws {
    let size = "\(Int.max)"
    for option in ["--hidden-size", "--input-size", "--layers", "--steps", "--output-size"] {
      let command = try Command(["parameters", option, size])
      #expect([64, 69].contains(command.status), "\(option)")
      #expect(command.isOneSentence)
    }
  }
}
