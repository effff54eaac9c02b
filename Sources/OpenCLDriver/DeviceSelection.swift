import COpenCL

/// The rule by which a specification names one of several devices; it needs no device itself.
struct DeviceSelection {
  /// What the rule looks at.
  struct Candidate {
    let index: String
    let name: String
    let type: Device.Kind
  }

  let candidates: [Candidate]
  let platformCount: Int
  /// Why devices are missing, as far as that is known.
  var problems: [String] = []

  /// The position of what `auto` takes: a GPU before an accelerator before a CPU, the first of each.
  static func preferred(_ types: [Device.Kind]) -> Int? {
    for type in [Device.Kind.gpu, .accelerator, .cpu, .other] {
      if let position = types.firstIndex(of: type) { return position }
    }
    return nil
  }

  /// The position of what `auto` takes.
  func preferred() throws(OpenCLError) -> Int {
    guard platformCount > 0 else {
      throw error(
        .noPlatform, OpenCLError.platformNotFound, "no OpenCL platform is installed")
    }
    guard let position = DeviceSelection.preferred(candidates.map(\.type)) else {
      let platforms = platformCount == 1 ? "a platform" : "\(platformCount) platforms"
      throw error(
        .noDevice, CL_DEVICE_NOT_FOUND,
        (["OpenCL is installed with \(platforms), but has no usable device"] + problems.prefix(1))
          .joined(separator: ": "))
    }
    return position
  }

  /// The position of the device that a specification names.
  func choose(_ specification: String) throws(OpenCLError) -> Int {
    let preferred = try preferred()
    let wanted = specification.lowercased()
    let position: Int?
    switch wanted {
    case "auto": position = preferred
    case "gpu": position = candidates.firstIndex { $0.type == .gpu }
    case "cpu": position = candidates.firstIndex { $0.type == .cpu }
    default:
      if let numbered = candidates.firstIndex(where: { $0.index == wanted }) { return numbered }
      position = try named(wanted, specification)
    }
    guard let position else {
      throw error(
        .noMatchingDevice, CL_DEVICE_NOT_FOUND,
        "no OpenCL device matches \"\(specification)\"; there is \(list(candidates))")
    }
    return position
  }

  /// The device with this name or, failing that, with this part of a name.
  private func named(_ wanted: String, _ specification: String) throws(OpenCLError) -> Int? {
    guard !wanted.isEmpty else { return nil }
    let names = candidates.map { $0.name.lowercased() }
    let equal = names.indices.filter { names[$0] == wanted }
    let matches = equal.isEmpty ? names.indices.filter { names[$0].contains(wanted) } : equal
    guard matches.count < 2 else {
      throw error(
        .ambiguousDevice, CL_DEVICE_NOT_FOUND,
        "\"\(specification)\" matches \(matches.count) OpenCL devices, name one by its number: "
          + list(matches.map { candidates[$0] }))
    }
    return matches.first
  }

  private func list(_ devices: [Candidate]) -> String {
    devices.map { "\($0.index) \($0.name)" }.joined(separator: ", ")
  }

  private func error(_ kind: OpenCLError.Kind, _ code: Int32, _ text: String) -> OpenCLError {
    OpenCLError(kind, code: code, doing: "choosing a device", explanation: text)
  }
}
