import Carousel
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

/// The descriptors of standard input, output and error.
enum Descriptors {
  /// Opens each of descriptors 0 to 2 that was closed when the process started.
  ///
  /// Otherwise the next file would get that number, and text for standard error would be written into it.
  /// The replacement can be neither read nor written: using it fails, as using a closed one does.
  static func open() {
    for descriptor in STDIN_FILENO...STDERR_FILENO
    where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest number that is free: this one.
      _ = Foundation.open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }
}

/// Arguments that are empty, as an unset variable of a script makes them.
enum EmptyArguments {
  /// The options whose value may be empty: they take a text, and not a file, a folder or a number.
  private static let texts: Set = ["--prompt", "--prefix"]

  /// Throws a usage error where an argument or the value of an option is empty.
  ///
  /// A folder whose name is empty would be the root folder.
  static func refuse(_ arguments: some Sequence<String>) throws(CarouselError) {
    var previous = "the command"
    for argument in arguments {
      let isBareOption = argument.hasPrefix("--") && argument.hasSuffix("=")
      let option = isBareOption ? String(argument.dropLast()) : previous
      if argument.isEmpty || isBareOption && !option.contains("="), !texts.contains(option) {
        throw CarouselError(.usage, "expected a value behind \(option), found an empty text")
      }
      previous = argument
    }
  }
}

/// The words of the command line as the operating system gave them, bytes that are no UTF-8 among them.
enum SystemArguments {
  /// The words behind the program's name.
  static var words: [String] {
    (1..<max(Int(CommandLine.argc), 1)).compactMap { index in
      CommandLine.unsafeArgv[index].map {
        String(systemBytes: [UInt8](UnsafeRawBufferPointer(start: $0, count: strlen($0))))
      }
    }
  }
}
