import Testing

@testable import OpenCLDriver

@Suite struct DeviceSelectionTests {
  static let mixed = DeviceSelection(
    candidates: [
      .init(index: "0:0", name: "pthread-AMD EPYC", type: .cpu),
      .init(index: "1:0", name: "Altera Board", type: .accelerator),
      .init(index: "2:0", name: "NVIDIA H200", type: .gpu),
      .init(index: "2:1", name: "NVIDIA H200 NVL", type: .gpu),
    ], platformCount: 3)

  @Test(arguments: [
    ("auto", 2), ("AUTO", 2), ("gpu", 2), ("cpu", 0), ("1:0", 1), ("2:1", 3), ("epyc", 0),
    ("ALTERA", 1), ("nvl", 3), ("nvidia h200", 2),
  ])
  func aSpecificationNamesOneDevice(specification: String, position: Int) throws {
    #expect(try Self.mixed.choose(specification) == position)
  }

  @Test func autoTakesAnAcceleratorBeforeACPU() {
    #expect(DeviceSelection.preferred([.other, .cpu, .accelerator]) == 2)
    #expect(DeviceSelection.preferred([.other, .cpu]) == 1)
    #expect(DeviceSelection.preferred([]) == nil)
  }

  @Test(arguments: ["radeon", "0:1", "", "9:9"])
  func noMatchListsWhatThereIs(specification: String) throws {
    let error = try failure { _ = try Self.mixed.choose(specification) }
    #expect(error.kind == .noMatchingDevice)
    #expect(
      error.description == "no OpenCL device matches \"\(specification)\"; there is "
        + "0:0 pthread-AMD EPYC, 1:0 Altera Board, 2:0 NVIDIA H200, 2:1 NVIDIA H200 NVL")
  }

  @Test func aTypeThatIsMissingMatchesNothing() throws {
    let cpuOnly = DeviceSelection(candidates: [Self.mixed.candidates[0]], platformCount: 1)
    #expect(try failure { _ = try cpuOnly.choose("gpu") }.kind == .noMatchingDevice)
    #expect(try cpuOnly.choose("auto") == 0)
  }

  @Test func twoMatchesNameBoth() throws {
    let error = try failure { _ = try Self.mixed.choose("nvidia") }
    #expect(error.kind == .ambiguousDevice)
    #expect(
      error.description == "\"nvidia\" matches 2 OpenCL devices, name one by its number: "
        + "2:0 NVIDIA H200, 2:1 NVIDIA H200 NVL")
  }

  @Test func noPlatformAndNoDeviceAreToldApart() throws {
    let nothing = DeviceSelection(candidates: [], platformCount: 0)
    let empty = DeviceSelection(candidates: [], platformCount: 2)
    let noPlatform = try failure { _ = try nothing.choose("auto") }
    #expect(noPlatform.kind == .noPlatform)
    #expect(noPlatform.name == "CL_PLATFORM_NOT_FOUND_KHR")
    #expect(try failure { _ = try empty.choose("auto") }.kind == .noDevice)
    let known = DeviceSelection(candidates: [], platformCount: 1, problems: ["it is off"])
    #expect(
      try failure { _ = try known.choose("auto") }.description
        == "OpenCL is installed with a platform, but has no usable device: it is off")
  }
}

@Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct DeviceTests {
  @Test func devicesDescribeThemselves() throws {
    for device in try Device.all() {
      #expect(!device.name.isEmpty && !device.driver.isEmpty && !device.platformVersion.isEmpty)
      #expect(device.version.hasPrefix("OpenCL "))
      #expect(device.computeUnits > 0 && device.maxWorkGroupSize > 0)
      #expect(device.maxAllocationBytes > 0)
      #expect(device.globalMemoryBytes >= device.maxAllocationBytes)
      #expect(device.localMemoryBytes >= 16 << 10)
      #expect([1, 2, 4, 8, 16].contains(device.nativeVectorWidthFloat))
      let alignment = device.baseAddressAlignmentBytes
      #expect(alignment > 0 && alignment & (alignment - 1) == 0)
    }
  }

  @Test func oneDeviceIsTheDefaultAndAutoTakesIt() throws {
    let defaults = try Device.all().filter(\.isDefault)
    #expect(defaults.count == 1)
    #expect(try Device.select("auto").index == defaults.first?.index)
  }

  @Test func everyDeviceIsFoundByItsNumber() throws {
    for device in try Device.all() {
      #expect(try Device.select(device.index).name == device.name)
    }
  }
}
