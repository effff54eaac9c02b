import Foundation

/// The descriptors of standard input, output and error.
enum Descriptors {
  /// Opens those of the three that whoever started this process had closed.
  ///
  /// The next file that is opened would take their number, and what is meant for standard error would be
  /// written into it. What stands in for them can be neither read nor written, so that it fails as a
  /// closed one does.
  static func open() {
    for descriptor in STDIN_FILENO...STDERR_FILENO
    where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest number that is free: this one.
      _ = Foundation.open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }
}
