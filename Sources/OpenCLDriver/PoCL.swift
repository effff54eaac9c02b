import Foundation

/// What PoCL needs of the system, and how it gets it.
///
/// PoCL compiles through files in a folder of its own, and links kernels with `ld`; it ends the process
/// where it cannot.
enum PoCL {
  /// The name of its platform.
  static let platformName = "Portable Computing Language"

  /// Where it keeps what it compiled.
  struct Folder: Equatable {
    /// The path.
    let path: String
    /// Whether PoCL has to be told, because it would not choose it.
    var isOurs = false
    /// What is wrong with it and what to do, if anything.
    var problem: String?
  }

  /// What one program and its kernels may need at most, on the disk.
  static let roomBytes = 16 << 20

  /// The folder that it uses in this process.
  static let folder = choose(
    environment: ProcessInfo.processInfo.environment, caches: ProgramCache.standard.folder?.path)

  /// Tells PoCL of its folder, of `ld`, and to compile each kernel once, before its library is loaded.
  ///
  /// Changes the environment only where PoCL would fail without, and where it says nothing of the last. By
  /// itself PoCL compiles each kernel for the sizes of its launch, and once more in a general form when it
  /// is asked for the program to keep: a first `train text` took 6.5 s on two cores, and takes 4.7 s with
  /// the general form alone. Warm kernels run at 0.98 to 1.01 of their speed, and give the same bits.
  static func prepare() { _ = prepared }

  private static let prepared: Void = {
    if folder.isOurs { setenv("POCL_CACHE_DIR", folder.path, 1) }
    setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0)
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    if find("ld", path) == nil, let found = find("ld", linkerFolders) {
      setenv("PATH", path.isEmpty ? found : "\(path):\(found)", 1)
    }
  }()

  private static let linkerFolders = "/usr/local/bin:/usr/bin:/bin"

  /// Throws where it would end the process instead of building a program.
  fileprivate static func checkCanBuild() throws(OpenCLError) {
    let free = PrivateFolder.freeBytes(folder.path)
    if free < roomBytes {
      throw failure(
        "PoCL has no room to compile kernels: \(folder.path) is on a disk with \(free >> 10) KiB left, "
          + "and \(roomBytes >> 20) MiB are needed; name another folder in POCL_CACHE_DIR")
    }
    if find("ld", ProcessInfo.processInfo.environment["PATH"] ?? "") == nil {
      throw failure(
        "PoCL links kernels with ld, which is in no folder of PATH; install the package binutils")
    }
  }

  private static func failure(_ text: String) -> OpenCLError {
    OpenCLError(.build, code: -3, doing: "compiling kernels", explanation: text)
  }

  /// The first folder of a list such as PATH that has an executable of this name.
  private static func find(_ name: String, _ folders: String) -> String? {
    folders.split(separator: ":").map(String.init).first { access("\($0)/\(name)", X_OK) == 0 }
  }

  /// The folder that PoCL would choose, where it can be written, or one that we make; in the last place
  /// what it would choose, and what is wrong with that.
  static func choose(environment: [String: String], caches: String?) -> Folder {
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let named = value("POCL_CACHE_DIR") {
      let isWritable = PrivateFolder.canWrite(named, roomBytes: 1)
      return Folder(
        path: named,
        problem: isWritable
          ? nil
          : "PoCL cannot write to \(named), which POCL_CACHE_DIR names; name another folder there")
    }
    let standard =
      value("XDG_CACHE_HOME").map { "\($0)/pocl/kcache" }
      ?? environment["HOME"].map { "\($0)/.cache/pocl/kcache" }
    // An empty POCL_CACHE_DIR ends PoCL, so it must be told even where its own choice would do.
    if let standard, PrivateFolder.canWrite(standard, roomBytes: roomBytes) {
      return Folder(path: standard, isOurs: environment["POCL_CACHE_DIR"] != nil)
    }
    let temporary = [value("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"].compactMap { $0 }
      .map { "\($0)/carousel-\(geteuid())" }
    for folder in [caches].compactMap({ $0 }) + temporary {
      let path = folder + "/pocl"
      if PrivateFolder.canWrite(path, roomBytes: roomBytes), PrivateFolder.make(folder) == nil,
        PrivateFolder.make(path) == nil
      {
        return Folder(path: path, isOurs: true)
      }
    }
    let path = standard ?? "/tmp/pocl/kcache"
    return Folder(
      path: path, isOurs: environment["POCL_CACHE_DIR"] != nil,
      problem:
        "PoCL can write neither to \(path) nor to a folder for temporary files, or finds no room "
        + "there; name a folder with \(roomBytes >> 20) MiB left in POCL_CACHE_DIR")
  }
}

extension Platform {
  /// Whether it is PoCL.
  var isPoCL: Bool { name == PoCL.platformName }
}

extension Device {
  /// Whether it is one of PoCL's.
  package var isPoCL: Bool { platformName == PoCL.platformName }

  /// Throws where the driver is known to end the process instead of building a program.
  func checkCanBuild() throws(OpenCLError) {
    if isPoCL, type == .cpu { try PoCL.checkCanBuild() }
  }
}
