import Carousel
import Foundation

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
