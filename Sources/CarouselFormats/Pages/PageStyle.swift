/// The style of every page; its colours are `PageTheme`'s.
enum PageStyle {
  /// The style sheet.
  static let sheet = """
    * { box-sizing: border-box; margin: 0; }
    body {
      background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
      font-variant-numeric: tabular-nums;
    }
    main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
    h1 { font-size: 1.6rem; line-height: 1.25; font-weight: 650; overflow-wrap: anywhere; }
    h2 { font-size: 1.05rem; font-weight: 650; margin: 2.75rem 0 .25rem; }
    main > p { margin: .6rem 0; max-width: 44rem; overflow-wrap: anywhere; }
    .kind { color: var(--quiet); font-size: .85rem; margin-bottom: .25rem; }
    .quiet { color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
    main > .finding {
      font-size: 1.1rem; line-height: 1.45; margin: 1.25rem 0; padding-left: .9rem;
      border-left: 3px solid var(--a);
    }
    figure { margin: 1.25rem 0; max-width: 44rem; }
    figcaption { color: var(--quiet); font-size: .88rem; margin-top: .35rem; }
    svg { display: block; width: 100%; height: auto; }
    pre {
      background: var(--soft); border-radius: 6px; padding: .7rem .9rem; font-size: .82rem;
      font-family: ui-monospace, Menlo, Consolas, monospace;
    }
    .figures {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px;
      margin: 1.75rem 0 0; background: var(--line); border: 1px solid var(--line);
      border-radius: 8px; overflow: hidden;
    }
    .figures div {
      background: var(--ground); padding: .9rem 1rem; display: flex; flex-direction: column;
    }
    .figures dt { order: -1; color: var(--quiet); font-size: .85rem; }
    .figures dd { font-size: 1.5rem; font-weight: 600; line-height: 1.35; }
    .figures small { font-size: .9rem; font-weight: 450; color: var(--quiet); }
    .figures p { color: var(--quiet); font-size: .8rem; }
    .notes { color: var(--quiet); font-size: .9rem; padding-left: 1.2rem; margin: 1.25rem 0; }
    .details {
      list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem; font-size: .85rem;
    }
    .details li {
      background: var(--soft); color: var(--quiet); border-radius: 5px; padding: .15rem .55rem;
      overflow-wrap: anywhere;
    }
    .details b { color: var(--ink); font-weight: 550; }
    .wide { overflow-x: auto; margin-top: .6rem; }
    table { border-collapse: collapse; width: 100%; font-size: .88rem; }
    th, td { padding: .45rem .75rem; text-align: right; white-space: nowrap; font-weight: 400; }
    th:first-child { text-align: left; padding-left: 0; }
    th:last-child, td:last-child { padding-right: 0; }
    thead th { color: var(--quiet); font-size: .8rem; border-bottom: 1px solid var(--line); }
    tbody tr + tr > * { border-top: 1px solid var(--line); }
    @media print { main { padding-top: 0; } }
    """
}
