import Foundation

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
