import Foundation

extension ProfileReport {
  /// One page that needs nothing else: the figures, a roofline plot and a table of the kernels.
  package var html: String {
    var page = HTMLPage(
      kind: "Carousel profile", title: device, subtitle: "Driver \(driver)",
      blocks: [
        .figures(figures), .list(notes),
        .details(details.map { ($0.key, $0.value.description) }), .heading("Roofline"),
        .note(
          """
          Each dot is a kernel, its area the kernel's share of the time. The lines are the peaks \
          measured on this device; a dot above the slope has its data in the caches.
          """), .html("<p class=\"legend\">\(legend)</p>"), .html(roofline), .heading("Kernels"),
        .html(table),
      ])
    page.style = Self.style
    return page.html
  }

  private var figures: [HTMLPage.Figure] {
    let nominal = hasNominalRate ? "; nominal \(wall.gflops.readable)" : ""
    func spread(_ part: Double) -> String {
      "\(peak.measurements) measurements, spread \((part * 100).fixed(0)) %"
    }
    let (median, fastest) = (wall.medianSeconds.withUnit, wall.minSeconds.withUnit)
    return [
      HTMLPage.Figure(
        median.value, unit: median.unit, name: "A pass, median",
        note: "fastest \(fastest.value) \(fastest.unit)"),
      HTMLPage.Figure(
        wall.neededGflops.readable, unit: "GFLOP/s", name: "Reached",
        note: "by the median\(nominal)"),
      HTMLPage.Figure(
        (wall.fractionOfPeak * 100).readable, unit: "%", name: "Of the peak",
        note: "\(peak.gflops.readable) GFLOP/s: \(spread(peak.gflopsSpread))"),
      HTMLPage.Figure(
        peak.gigabytesPerSecond.readable, unit: "GB/s", name: "Peak of memory",
        note: spread(peak.gigabytesPerSecondSpread)),
    ]
  }

  private var legend: String {
    Bound.allCases.map { "<span><i class=\"\($0.rawValue)\"></i>\($0.rawValue)-bound</span>" }
      .joined(separator: "\n")
  }

  private var table: String {
    let rows = kernels.map { kernel in
      let percentage = kernel.share.isFinite ? min(max(kernel.share, 0), 1) * 100 : 0
      let time = kernel.totalSeconds.withUnit
      return """
        <tr><th scope="row">\(kernel.name.htmlEscaped)</th><td>\(kernel.launches)</td>\
        <td>\(time.value) <small>\(time.unit)</small></td>\
        <td class="share"><span style="--share:\(percentage.fixed(1))%"></span>\
        \(percentage < 9.95 ? "&#8199;" : "")\(percentage.fixed(1)) %</td>\
        <td>\(kernel.gflops.readable)</td><td>\(kernel.gigabytesPerSecond.readable)</td>\
        <td>\(kernel.arithmeticIntensity.readable)</td>\
        <td class="bound"><i class="\(kernel.bound.rawValue)"></i>\(kernel.bound.rawValue)</td></tr>
        """
    }
    return HTMLPage.Block.table(
      [
        "Kernel", "Launches", "Time a pass", "Share", "GFLOP/s", "GB/s", "FLOP/byte", "Bound by",
      ], rows)
  }

  /// The style of what other pages do not have.
  private static let style = """
    :root { --compute: var(--a); --memory: var(--b); --latency: var(--h); }
    .legend {
      display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .6rem 0; font-size: .85rem;
      color: var(--quiet);
    }
    i {
      display: inline-block; width: .6rem; height: .6rem; border-radius: 50%; margin-right: .4rem;
    }
    i.compute { background: var(--compute); }
    i.memory { background: var(--memory); }
    i.latency { background: var(--latency); }
    svg.roofline { min-width: 36rem; }
    svg.roofline text { font-size: 12px; }
    svg.roofline .roof {
      fill: none; stroke: var(--ink); stroke-width: 1.75; stroke-linejoin: round;
    }
    svg.roofline text.peak { fill: var(--ink); font-weight: 550; }
    svg.roofline text.kernel {
      fill: var(--ink); font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 11px;
    }
    svg.roofline circle { fill-opacity: .78; stroke: var(--ground); stroke-width: 1.5; }
    svg.roofline circle.compute { fill: var(--compute); }
    svg.roofline circle.memory { fill: var(--memory); }
    svg.roofline circle.latency { fill: var(--latency); }
    th:last-child, td:last-child { text-align: left; }
    tbody th { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .82rem; }
    .share span {
      display: inline-block; width: 4rem; height: .45rem; border-radius: 2px; margin-right: .6rem;
      background: linear-gradient(
        to right, var(--ink) 0 var(--share), var(--line) var(--share) 100%);
      opacity: .65;
    }
    """
}

extension Double {
  /// A time with three digits, and its unit.
  fileprivate var withUnit: (value: String, unit: String) {
    switch magnitude {
    case 1...: (readable, "s")
    case 1e-3...: ((self * 1e3).readable, "ms")
    default: ((self * 1e6).readable, "µs")
    }
  }
}
