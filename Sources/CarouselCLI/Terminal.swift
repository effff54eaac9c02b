import Foundation

/// What is known of the terminal behind a descriptor.
enum Terminal {
  /// The columns of the terminal; nil where there is none, or it does not tell.
  static func width(of descriptor: Int32) -> Int? {
    var size = winsize()
    guard isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0
    else { return nil }
    return Int(size.ws_col)
  }

  /// Whether lines on standard error can be drawn again in place.
  static let canRedraw: Bool = {
    let term = ProcessInfo.processInfo.environment["TERM"] ?? ""
    return isatty(STDERR_FILENO) == 1 && !term.isEmpty && term != "dumb"
  }()
}
