import Foundation
import Testing

@Suite struct DeviceTests {
  @Test(arguments: ["devices", "compare --tiny", "profile", "compare --device gpu"])
  func machineWithoutOpenCLExits69(line: String) throws {
    let empty = try Folder()
    let command = try Command(
      line.split(separator: " ").map(String.init),
      environment: ["OCL_ICD_VENDORS": empty[""], "OCL_ICD_FILENAMES": ""])
    #expect(command.status == 69)
    #expect(command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("pocl-opencl-icd"))
  }

  /// A library that is no library stands before the one that is installed.
  private func withoutLibrary(_ line: String) throws -> Command {
    let folder = try Folder()
    try folder.create("libOpenCL.so.1")
    return try Command(
      line.split(separator: " ").map(String.init), environment: ["LD_LIBRARY_PATH": folder[""]])
  }

  @Test(arguments: [
    "--help", "--version", "parameters --input-size 2 --hidden-size 3",
    "compare --device reference --tiny",
  ])
  func whatNeedsNoDeviceNeedsNoLibrary(line: String) throws {
    let command = try withoutLibrary(line)
    #expect(command.status == 0)
    #expect(command.errors.isEmpty)
  }

  @Test(arguments: ["devices", "compare --tiny", "profile"])
  func aDeviceWithoutALibraryExits69AndNamesThePackages(line: String) throws {
    let command = try withoutLibrary(line)
    #expect(command.status == 69)
    #expect(command.isOneSentence, "\(command.errors)")
    for part in ["libOpenCL.so.1", "ocl-icd-libopencl1", "pocl-opencl-icd", "--device reference"] {
      #expect(command.errors.contains(part), "\(command.errors)")
    }
  }

  @Test func referenceNeedsNoOpenCL() throws {
    let empty = try Folder()
    let command = try Command(
      ["compare", "--tiny", "--json"],
      environment: ["OCL_ICD_VENDORS": empty[""], "CAROUSEL_DEVICE": "reference"])
    #expect(command.status == 0)
    #expect(try command.json["device"] as? String == "reference")
  }

  @Test func theCacheIsShownAndCleared() throws {
    let folder = try Folder()
    try folder.create("0123.clbin", [1, 2, 3])
    let environment = ["CAROUSEL_CACHE": folder["."], "LD_LIBRARY_PATH": folder[""]]
    try folder.create("libOpenCL.so.1")  // The device is not asked.
    func cache(_ option: String) throws -> [String: Any] {
      let command = try Command(["devices", option, "--json"], environment: environment)
      #expect(command.status == 0, "\(command.errors)")
      return try #require(try command.json["cache"] as? [String: Any])
    }
    let before = try cache("--cache")
    #expect(before["files"] as? Int == 1 && before["bytes"] as? Int == 3)
    #expect(before["limitBytes"] as? Int == 512 << 20 && before["used"] as? Bool == true)
    #expect(
      try Command(["devices", "--cache"], environment: environment).output
        .contains("programs  1, 3 bytes of at most 512.0 MiB"))
    #expect(try cache("--clear-cache")["files"] as? Int == 0)
    #expect(try cache("--cache")["files"] as? Int == 0)
    let off = ["CAROUSEL_CACHE": "off"]
    #expect(
      try Command(["devices", "--cache"], environment: off).output.hasPrefix("no cache"))
    #expect(try Command(["devices", "--clear-cache"], environment: off).status == 64)
    #expect(try Command(["devices", "--cache", "--clear-cache"]).status == 64)
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func aCacheThatOthersCanWriteIsLeftAloneWithAWarning() throws {
    let folder = try Folder()
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o777], ofItemAtPath: folder["."])
    let environment = ["CAROUSEL_CACHE": folder["."]]
    let line =
      "compare --cell rnn --steps 2 --batch-size 2 --input-size 2 --hidden-size 3 --json"
    let command = try Command(
      line.split(separator: " ").map(String.init), environment: environment)
    #expect(command.status == 0)
    #expect(command.errors.hasPrefix("warning: compiled programs are not kept: others can write"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder["."]).isEmpty)
    #expect(try Command(["devices", "--clear-cache"], environment: environment).status == 74)
  }

  /// PoCL gives up, or ends the process, where it finds no folder of its own or no linker.
  @Test(
    .enabled(if: Command.hasDevice, "no OpenCL device"),
    arguments: [
      ["HOME": "/dev/null"], ["XDG_CACHE_HOME": "/dev/null"], ["POCL_CACHE_DIR": ""],
      ["PATH": "/nonexistent"], ["TMPDIR": "/dev/null"],
    ])
  func anEnvironmentThatLacksSomethingComputes(environment: [String: String]) throws {
    let command = try Command(
      "compare --cell rnn --steps 2 --batch-size 2 --input-size 2 --hidden-size 3".split(
        separator: " "
      ).map(String.init), environment: environment)
    #expect(command.status == 0, "\(command.errors)")
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func aCacheOfPoCLThatCannotBeWrittenIsNamed() throws {
    let platforms = try Command(["devices"]).output
    guard platforms.contains("PoCL") else { return }
    let command = try Command(
      ["compare", "--tiny"], environment: ["POCL_CACHE_DIR": "/dev/null/kernels"])
    #expect(command.status == 69)
    #expect(command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("POCL_CACHE_DIR names; name another"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func unknownDeviceExits69AndIsNamed() throws {
    let command = try Command(["compare", "--tiny", "--device", "abacus"])
    #expect(command.status == 69)
    #expect(command.isOneSentence)
    #expect(command.errors.contains("abacus"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func optionWinsOverEnvironment() throws {
    let command = try Command(
      ["compare", "--tiny", "--json", "--device", "reference"],
      environment: ["CAROUSEL_DEVICE": "abacus"])
    #expect(command.status == 0)
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func devicesListsWhatTheContractNames() throws {
    let command = try Command(["devices", "--json"])
    #expect(command.errors.isEmpty)
    let devices = try #require(try command.json["devices"] as? [[String: Any]])
    for device in devices {
      for key in ["index", "name", "vendor", "version", "driver"] {
        #expect((device[key] as? String)?.isEmpty == false, "\(key)")
      }
      #expect(["cpu", "gpu", "accelerator"].contains(device["type"] as? String))
      for key in ["computeUnits", "globalMemoryBytes", "localMemoryBytes"] {
        #expect((device[key] as? Int ?? 0) > 0, "\(key)")
      }
    }
    #expect(devices.count { $0["default"] as? Bool == true } == 1)
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func devicesMarksTheDefaultInItsTable() throws {
    let lines = try Command(["devices"]).output.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("* ") && $0.dropFirst(2).first?.isNumber == true } == 1)
  }
}
