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

  @Test func referenceNeedsNoOpenCL() throws {
    let empty = try Folder()
    let command = try Command(
      ["compare", "--tiny", "--json"],
      environment: ["OCL_ICD_VENDORS": empty[""], "CAROUSEL_DEVICE": "reference"])
    #expect(command.status == 0)
    #expect(try command.json["device"] as? String == "reference")
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
    #expect(lines.count { $0.hasPrefix("*") } == 1)
  }
}
