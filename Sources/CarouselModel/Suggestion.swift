extension String {
  /// The one of `names` that this word was most likely meant to be; nil where none is close.
  ///
  /// Close are a name that begins with the word, and one that a few slips of the fingers turn into it:
  /// a letter that is missing, added, wrong, or swapped with the next.
  package func nearest(among names: [String]) -> String? {
    guard 1...64 ~= count else { return nil }
    let word = lowercased()
    if count >= 3, let name = names.first(where: { $0.hasPrefix(word) }) { return name }
    let close = names.map { (name: $0, slips: word.slips(to: $0.lowercased())) }
      .filter { $0.slips <= Swift.max(1, Swift.min(count, $0.name.count) / 3) }
    return close.min { $0.slips < $1.slips }?.name
  }

  /// The one of `names` that the fewest slips turn this word into, however many; nil where there are none.
  package func leastDistant(among names: [String]) -> String? {
    let word = prefix(64).lowercased()
    return names.map { (name: $0, slips: word.slips(to: $0.lowercased())) }
      .min { $0.slips < $1.slips }?.name
  }

  /// The distance of optimal string alignment.
  private func slips(to other: String) -> Int {
    let (a, b) = (Array(self), Array(other))
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var least = Swift.min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          least = Swift.min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}

/// `; did you mean 'forget'?`, or nothing where no name is close to the word.
package func suggestion(for word: String, among names: [String], before: String = "") -> String {
  word.nearest(among: names).map { "; did you mean '\(before)\($0)'?" } ?? ""
}
