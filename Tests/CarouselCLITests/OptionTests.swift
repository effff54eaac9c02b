import Carousel
import Foundation
import Testing

/// The words of layers, as `compare` takes them and says them again.
@Suite struct OptionTests {
  private func options(_ line: String) throws -> [String: Any] {
    let command = try Command(
      ["compare", "--device", "reference", "--json", "--steps", "3", "--batch-size", "2"]
        + ["--input-size", "3", "--hidden-size", "4"] + line.split(separator: " ").map(String.init))
    #expect(command.status == 0, "\(line): \(command.errors)")
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    #expect(cases.count == 1)
    var result = try #require(cases[0]["options"] as? [String: Any])
    result["cell"] = cases[0]["cell"]
    return result
  }

  @Test(arguments: [
    ("--cell rnn", "cell", "rnn"), ("--cell gru", "cell", "gru"),
    ("--cell rnn --activation relu", "activations", "hidden=relu"),
    ("--cell rnn --activation LeakyRelu:0.2", "activations", "hidden=leakyrelu:0.2"),
    ("--cell rnn --activation hidden=Elu", "activations", "hidden=elu:1.0"),
    (
      "--activation cell=ScaledTanh:0.5:2 --activation output=HardSigmoid", "activations",
      "cell=scaledtanh:0.5:2.0 output=hardsigmoid:0.2:0.5"
    ),
    ("--activation hidden=affine:-1:0.5", "activations", "hidden=affine:-1.0:0.5"),
    ("--direction reverse", "direction", "reverse"),
    ("--bidirectional", "direction", "bidirectional"), ("--bidirectional", "merge", "concat"),
    ("--direction bidirectional --merge multiply", "merge", "multiply"),
    ("--peepholes", "peepholes", "true"), ("--bias single", "bias", "single"),
    ("--no-bias", "bias", "none"), ("--recurrence diagonal", "recurrence", "diagonal"),
    ("--tie input=forget", "forgetGate", "tied to input"),
    ("--tie forget=output", "forgetGate", "tied to output"),
    ("--couple-input-forget", "forgetGate", "coupled"),
    ("--forget-decay 0.75", "forgetGate", "0.75"),
    ("--override forget=0 --override input=-1", "overrides", "forget=0.0 input=-1.0"),
    ("--cell gru --override update=0.5", "overrides", "update=0.5"),
    ("--override f=0 --override i=-1", "overrides", "forget=0.0 input=-1.0"),
    ("--override g=1 --override o=1", "overrides", "cell=1.0 output=1.0"),
    (
      "--cell gru --override r=1 --override z=0 --override n=2", "overrides",
      "new=2.0 reset=1.0 update=0.0"
    ),
    ("--activation o=relu --activation h=relu", "activations", "hidden=relu output=relu"),
    ("--cell rnn --activation h=relu", "activations", "hidden=relu"),
    ("--tie i=f", "forgetGate", "tied to input"), ("--tie o=f", "forgetGate", "tied to output"),
    ("--recurrence blocks:2", "recurrence", "blocks:2"),
    ("--projection-size 3", "projectionSize", "3"), ("--layer-norm", "layerNorm", "true"),
    ("--cell gru --gru-reset before", "gruReset", "before"),
    ("--recurrent-dropout 0.25", "recurrentDropout", "0.25"),
    ("--drop-connect 0.125", "dropConnect", "0.125"), ("--zoneout 0.25", "zoneoutCell", "0.25"),
    ("--zoneout 0.25,0.5", "zoneoutHidden", "0.25"),
    ("--zoneout 0.25,0.5", "zoneoutCell", "0.5"),
    ("--cell gru --zoneout 0.5", "zoneoutHidden", "0.5"),
    ("--cell-clip 0.25", "cellClip", "0.25"), ("--lengths 3,0", "lengths", "3 0"),
  ])
  func optionArrives(line: String, key: String, value: String) throws {
    #expect(try options(line)[key] as? String == value)
  }

  @Test func plainCellSaysNothingMore() throws {
    #expect(
      Set(try options("").keys) == [
        "cell", "direction", "bias", "dropout", "lengths", "mode", "states", "finalGradients",
      ])
  }

  @Test(
    arguments: [
      "--cell elman", "--activation relu", "--cell gru --activation relu",
      "--cell rnn --activation sine", "--cell rnn --activation constant:1",
      "--cell rnn --activation tanh:1", "--cell rnn --activation elu:1:2",
      "--cell rnn --activation elu:nan", "--cell rnn --activation elu:-1",
      "--cell rnn --activation input=relu", "--activation reset=relu",
      "--cell rnn --activation relu --activation tanh", "--direction sideways",
      "--direction forward --bidirectional", "--merge sum", "--merge sum --direction reverse",
      "--bidirectional --merge maximum", "--tie input=output", "--tie forget",
      "--couple-input-forget --tie input=forget", "--couple-input-forget --forget-decay 0.9",
      "--forget-decay 0.9 --tie forget=output", "--forget-decay many", "--forget-decay inf",
      "--peepholes --tie forget=output", "--cell gru --peepholes", "--cell rnn --forget-decay 0.5",
      "--cell gru --couple-input-forget", "--cell rnn --cell-clip 1", "--cell-clip 0",
      "--cell-clip -1", "--override forget", "--override forget=", "--override forget=nan",
      "--override reset=1", "--cell rnn --override hidden=0", "--override hidden=0",
      "--override forget=1 --override forget=0",
      "--override forget=1 --override f=0", "--cell gru --override f=1",
      "--cell gru --activation h=relu",
      "--activation o=relu --activation output=tanh", "--recurrence sparse",
      "--activation forget=relu --tie input=forget", "--lengths 1,2,26", "--lengths 1,,2",
      "--lengths -1,2", "--lengths 3,2 --batch-size 3", "--random 0",
      "--recurrence blocks:0", "--recurrence blocks:3 --hidden-size 8", "--recurrence blocks:",
      "--recurrence diagonal --projection-size 2", "--projection-size 0",
      "--projection-size 64", "--cell gru --projection-size 2", "--gru-reset before",
      "--cell gru --gru-reset between", "--recurrent-dropout 1", "--recurrent-dropout nan",
      "--drop-connect -0.5", "--zoneout 1", "--zoneout 0.5,", "--zoneout 0.1,0.2,0.3",
      "--cell gru --zoneout 0.1,0.2", "--random 2 --steps 3",
      "--random 2 --cell gru",
    ])
  func contradictionIsOneSentenceAndExits64(line: String) throws {
    let command = try Command(
      ["compare", "--device", "reference"] + line.split(separator: " ").map(String.init))
    #expect(command.status == 64, "\(command.errors)")
    #expect(command.isOneSentence, "\(command.errors)")
  }
}
