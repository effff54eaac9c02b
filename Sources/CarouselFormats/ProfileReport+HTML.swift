import Foundation

extension ProfileReport {
  /// One page that needs nothing else: the figures, a roofline plot and a table of the kernels.
  public var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Profile: \(device.htmlEscaped)</title>
    <style>
    \(Self.style)
    </style>
    </head>
    <body>
    <main>
    <header>
    <p class="kind">Carousel profile</p>
    <h1>\(device.htmlEscaped)</h1>
    <p class="quiet">Driver \(driver.htmlEscaped)</p>
    </header>
    \(figures)
    \(noteList)
    \(detailList)
    <section>
    <h2>Roofline</h2>
    <p class="quiet">Each dot is a kernel, its area the kernel's share of the time. The lines are \
    the peaks measured on this device; a dot above the slope has its data in the caches.</p>
    <p class="legend">\(legend)</p>
    \(roofline)
    </section>
    <section>
    <h2>Kernels</h2>
    \(table)
    </section>
    </main>
    </body>
    </html>

    """
  }

  private var figures: String {
    let percentage = (wall.fractionOfPeak * 100).readable
    let nominal = hasNominalRate ? "; nominal \(wall.gflops.readable)" : ""
    func spread(_ part: Double) -> String {
      "\(peak.measurements) measurements, spread \((part * 100).fixed(0)) %"
    }
    let all = [
      (
        wall.medianSeconds.readableSeconds, "A pass, median",
        "fastest \(wall.minSeconds.readableSeconds)"
      ),
      (
        "\(wall.neededGflops.readable) <small>GFLOP/s</small>", "Reached",
        "by the median\(nominal)"
      ),
      (
        "\(percentage) <small>%</small>", "Of the peak",
        "\(peak.gflops.readable) GFLOP/s: \(spread(peak.gflopsSpread))"
      ),
      (
        "\(peak.gigabytesPerSecond.readable) <small>GB/s</small>", "Peak of memory",
        spread(peak.gigabytesPerSecondSpread)
      ),
    ]
    let tiles = all.map { value, name, note in
      "<div><dd>\(value)</dd><dt>\(name)</dt><p>\(note)</p></div>"
    }
    return "<dl class=\"figures\">\n\(tiles.joined(separator: "\n"))\n</dl>"
  }

  private var noteList: String {
    guard !notes.isEmpty else { return "" }
    let items = notes.map { "<li>\($0.htmlEscaped)</li>" }
    return "<ul class=\"notes\">\n\(items.joined(separator: "\n"))\n</ul>"
  }

  private var detailList: String {
    let items = details.map { key, value in
      "<li>\(key.htmlEscaped) <b>\(value.description.htmlEscaped)</b></li>"
    }
    return "<ul class=\"details\">\n\(items.joined(separator: "\n"))\n</ul>"
  }

  private var legend: String {
    Bound.allCases.map { "<span><i class=\"\($0.rawValue)\"></i>\($0.rawValue)-bound</span>" }
      .joined(separator: "\n")
  }

  private var table: String {
    let rows = kernels.map { kernel in
      let percentage = kernel.share.isFinite ? min(max(kernel.share, 0), 1) * 100 : 0
      return """
        <tr><th scope="row">\(kernel.name.htmlEscaped)</th><td>\(kernel.launches)</td>\
        <td>\(kernel.totalSeconds.readableSeconds)</td>\
        <td class="share"><span style="--share:\(percentage.fixed(1))%"></span>\
        \(percentage < 9.95 ? "&#8199;" : "")\(percentage.fixed(1)) %</td>\
        <td>\(kernel.gflops.readable)</td><td>\(kernel.gigabytesPerSecond.readable)</td>\
        <td>\(kernel.arithmeticIntensity.readable)</td>\
        <td class="bound"><i class="\(kernel.bound.rawValue)"></i>\(kernel.bound.rawValue)</td></tr>
        """
    }
    return """
      <div class="wide"><table>
      <thead><tr><th scope="col">Kernel</th><th scope="col">Launches</th><th scope="col">Time a pass</th>\
      <th scope="col">Share</th><th scope="col">GFLOP/s</th><th scope="col">GB/s</th>\
      <th scope="col">FLOP/byte</th><th scope="col">Bound by</th></tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }

  private static let style = """
    :root {
      --ground: #fdfdfc; --ink: #1d2329; --quiet: #626c76; --line: #e3e5e7; --soft: #f3f4f4;
      --compute: #2563c9; --memory: #c2620c; --latency: #858d96;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --ground: #14171a; --ink: #e8eaec; --quiet: #97a1ab; --line: #2c3238; --soft: #1d2125;
        --compute: #6ea3f7; --memory: #ef9a4a; --latency: #8a939c;
      }
    }
    * { box-sizing: border-box; margin: 0; }
    body {
      background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
      font-variant-numeric: tabular-nums;
    }
    main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
    h1 { font-size: 1.6rem; line-height: 1.25; font-weight: 650; overflow-wrap: anywhere; }
    h2 { font-size: 1.05rem; font-weight: 650; margin: 2.75rem 0 .25rem; }
    .kind { color: var(--quiet); font-size: .85rem; margin-bottom: .25rem; }
    .quiet { color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
    .figures {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px;
      margin: 1.75rem 0 1.25rem; background: var(--line); border: 1px solid var(--line);
      border-radius: 8px; overflow: hidden;
    }
    .figures div {
      background: var(--ground); padding: .9rem 1rem; display: flex; flex-direction: column;
    }
    .figures dt { order: -1; color: var(--quiet); font-size: .85rem; }
    .figures dd { font-size: 1.5rem; font-weight: 600; line-height: 1.35; }
    .figures small { font-size: .9rem; font-weight: 450; color: var(--quiet); }
    .figures p { color: var(--quiet); font-size: .8rem; }
    .figures p small { font-size: inherit; }
    .notes { color: var(--quiet); font-size: .9rem; padding-left: 1.2rem; margin-bottom: 1.25rem; }
    .details {
      list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem; font-size: .85rem;
    }
    .details li {
      background: var(--soft); color: var(--quiet); border-radius: 5px; padding: .15rem .55rem;
      overflow-wrap: anywhere;
    }
    .details b { color: var(--ink); font-weight: 550; }
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
    .wide { overflow-x: auto; margin-top: .6rem; }
    svg { display: block; width: 100%; min-width: 42rem; height: auto; }
    svg text { font-size: 12px; fill: var(--quiet); }
    svg .grid { stroke: var(--line); stroke-width: 1; }
    svg .roof { fill: none; stroke: var(--ink); stroke-width: 1.75; stroke-linejoin: round; }
    svg .halo { stroke: var(--ground); stroke-width: 4px; paint-order: stroke; }
    svg text.peak { fill: var(--ink); font-weight: 550; }
    svg text.kernel { fill: var(--ink); font-family: ui-monospace, Menlo, Consolas, monospace; }
    svg text.kernel { font-size: 11px; }
    svg .lead { stroke: var(--quiet); stroke-width: .75; }
    svg circle { fill-opacity: .78; stroke: var(--ground); stroke-width: 1.5; }
    svg circle.compute { fill: var(--compute); }
    svg circle.memory { fill: var(--memory); }
    svg circle.latency { fill: var(--latency); }
    table { border-collapse: collapse; width: 100%; font-size: .88rem; }
    th, td { padding: .45rem .75rem; text-align: right; white-space: nowrap; font-weight: 400; }
    th:first-child { text-align: left; padding-left: 0; }
    th:last-child, td:last-child { text-align: left; padding-right: 0; }
    thead th { color: var(--quiet); font-size: .8rem; border-bottom: 1px solid var(--line); }
    tbody tr + tr > * { border-top: 1px solid var(--line); }
    tbody th { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .82rem; }
    .share span {
      display: inline-block; width: 4rem; height: .45rem; border-radius: 2px; margin-right: .6rem;
      background: linear-gradient(
        to right, var(--ink) 0 var(--share), var(--line) var(--share) 100%);
      opacity: .65;
    }
    @media print { main { padding-top: 0; } }
    """
}

extension String {
  /// The text as it stands in HTML and SVG, within an element or a quoted attribute.
  var htmlEscaped: String {
    replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
  }
}

extension Double {
  /// The number with a fixed count of digits behind the point.
  func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

  /// The number with three significant digits; a dash where there is none.
  var readable: String {
    guard isFinite else { return "–" }
    switch magnitude {
    case 0: return "0"
    case 99.95...: return magnitude < 1e6 ? fixed(0) : String(format: "%.2e", self)
    case 9.995...: return fixed(1)
    case 0.9995...: return fixed(2)
    default: return String(format: "%.2g", self)
    }
  }

  /// A time with its unit, in HTML.
  fileprivate var readableSeconds: String {
    let (value, unit) =
      switch magnitude {
      case 1...: (self, "s")
      case 1e-3...: (self * 1e3, "ms")
      default: (self * 1e6, "µs")
      }
    return "\(value.readable) <small>\(unit)</small>"
  }
}
