import CarouselModel
import Foundation

extension [UInt8] {
  /// Reads a file, a pipe or a terminal to its end; `-` is standard input.
  ///
  /// Throws `missingInput` where it is not there or cannot be read, and `badData` where it is larger than
  /// the machine's memory.
  public init(contentsOfInput path: String) throws(CarouselError) {
    let isStandard = path == "-"
    let name = isStandard ? "standard input" : path
    let descriptor =
      isStandard ? dup(STDIN_FILENO) : FileSystem.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CarouselError(
        .missingInput, "\(name): expected something readable, found: \(systemErrorText())")
    }
    defer { close(descriptor) }
    var status = stat()
    let isKnown = fstat(descriptor, &status) == 0
    guard isKnown, status.st_mode & S_IFMT != S_IFDIR else {
      throw CarouselError(.missingInput, "\(name): expected a file, found a directory")
    }
    self = []
    if status.st_mode & S_IFMT == S_IFREG {
      try HostMemory.require(Int(status.st_size), for: "the file", of: name)
      reserveCapacity(Int(status.st_size))
    }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
    defer { chunk.deallocate() }
    while true {
      let count = read(descriptor, chunk.baseAddress, chunk.count)
      if count > 0 {
        try HostMemory.require(self.count + count, for: "the text", of: name)
        append(contentsOf: chunk[..<count])
      } else if count == 0 {
        return
      } else if errno != EINTR {
        throw CarouselError(
          .missingInput, "\(name): expected something readable, found: \(systemErrorText())")
      }
    }
  }
}
