import ArgumentParser
import Carousel

/// `carousel cells`: the table of cells.
struct Cells: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the cells: their gates, states and options.",
    discussion: """
      The gates stand in the order of their rows in weight_ih and weight_hh, each with its letter and \
      the function that --activation exchanges. States are what h_0, c_0 and their like give. The \
      options are those that only some cells have.
      """)

  @OptionGroup var output: OutputOptions

  func run() throws {
    let cells = Cell.allCases.map(Row.init)
    if output.json { return try Output.write(json: ["cells": cells]) }
    var table = Table(["cell", "gates", "states", "options"])
    for cell in cells {
      table.add([
        cell.name, cell.gates.map { "\($0.name) (\($0.letter))" }.joined(separator: ", "),
        cell.states.joined(separator: ", "), cell.options.joined(separator: ", "),
      ])
    }
    try Output.write(table.text)
  }

  private struct Gate: Encodable {
    let name: String, letter: String
    let activation: String?
  }

  private struct Row: Encodable {
    let name: String
    let gates: [Gate]
    let states: [String], positive: [String], options: [String]
    let recurrentWeights: Bool

    init(_ cell: Cell) {
      let traits = cell.traits
      name = cell.rawValue
      gates = traits.gates.map {
        Gate(name: $0.name, letter: $0.letter, activation: $0.activation?.rawValue)
      }
      states = traits.stateNames
      positive = traits.memory.filter(\.isPositive).map(\.name)
      options = CellOption.allCases.filter(cell.has).map(\.rawValue)
      recurrentWeights = traits.hasRecurrentWeights
    }
  }
}
