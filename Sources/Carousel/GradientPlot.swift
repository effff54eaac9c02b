import CarouselFormats
import CarouselModel

/// Norms of gradients over the steps as a picture, logarithmic upwards: of h solid lines, of c dashed ones
/// of the same colour.
package struct GradientPlot: Sendable {
  /// The norms of one cell, from step 1 on.
  package struct Line: Sendable {
    /// The cell's name.
    package let name: String
    /// ‖∂loss/∂h_t‖ and ‖∂loss/∂c_t‖ for t from 1.
    package let norms: [GradientNorm]

    /// Names the norms.
    package init(name: String, norms: [GradientNorm]) {
      self.name = name
      self.norms = norms
    }
  }

  /// The picture.
  package let chart: LineChart

  /// Prepares a plot; what is 0 or not finite has no place on it and interrupts its line.
  ///
  /// The legend begins with the line that keeps most at step 1. `label` says what is compared.
  package init(
    _ lines: [Line], label: String = "The norm of the gradient at each step, by cell"
  ) {
    let series = lines.enumerated().flatMap { index, line in
      let cell = line.norms.compactMap(\.cell)
      return [
        LineChart.Series("\(line.name) ∂h", values: line.norms.map(\.hidden), colour: index)
      ]
        + (cell.isEmpty
          ? []
          : [LineChart.Series("\(line.name) ∂c", values: cell, style: .dashed, colour: index)])
    }
    let kept = series.map { $0.points.first?.y ?? 0 }
    chart = LineChart(
      label, x: LineChart.Axis("step t"),
      y: LineChart.Axis("‖∂loss/∂h‖, dashed ‖∂loss/∂c‖, after step t", scale: .logarithmic),
      series: kept.indices.sorted { (kept[$0], -$0) > (kept[$1], -$1) }.map { series[$0] })
  }

  /// Writes the picture; nothing half-written is left under the name.
  ///
  /// Throws where that fails.
  package func write(to path: String) throws(CarouselError) { try chart.write(to: path) }

  /// The picture.
  package var svg: String { chart.svg }
}
