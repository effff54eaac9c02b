// swift-tools-version: 6.1
import PackageDescription

// Tools/test runs the tests on the release build, whose modules it opens to them. A package that others depend on may
// not say so, hence the environment.
let testable: [SwiftSetting] =
  Context.environment["CAROUSEL_TESTABLE"] == "1" ? [.unsafeFlags(["-enable-testing"])] : []
// Swift 6.2 cannot optimise what the macros of its own Testing library write.
let tests: [SwiftSetting] =
  Context.environment["CAROUSEL_TESTABLE"] == "1" ? [.unsafeFlags(["-Onone"])] : []

// Training by several processes over MPI: `--traits MPI`, or this in the environment for tools that build.
let defaultTraits: Set<String> = Context.environment["CAROUSEL_MPI_TRAIT"] == "1" ? ["MPI"] : []

let package = Package(
  name: "carousel",
  products: [
    .library(name: "Carousel", targets: ["Carousel"]),
    .executable(name: "carousel", targets: ["CarouselCLI"]),
  ],
  traits: [
    .trait(name: "MPI", description: "Trains by several processes, which MPI connects."),
    .default(enabledTraits: defaultTraits),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // OpenCL C, embedded in the binary.
    .target(
      name: "Kernels", path: "Kernels", exclude: ["README.md", "programs.txt"],
      sources: ["Kernels.c"],
      publicHeadersPath: "include"),

    // OpenCL in Swift; knows nothing of networks.
    .target(name: "COpenCL"),
    .target(name: "OpenCLDriver", dependencies: ["COpenCL"], swiftSettings: testable),

    // The words of the field, and the two backends that know how to compute them.
    .target(name: "CarouselModel", swiftSettings: testable),
    .target(name: "CarouselReference", dependencies: ["CarouselModel"]),
    .target(
      name: "CarouselOpenCL", dependencies: ["CarouselModel", "OpenCLDriver", "Kernels"],
      swiftSettings: testable),

    // Files, and training.
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "CarouselFormats",
      dependencies: [
        "CarouselModel", "CZlib", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], exclude: ["ONNX/onnx.proto"], swiftSettings: testable),
    .target(
      name: "CarouselONNX",
      dependencies: [
        "CarouselModel", "CarouselFormats",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], swiftSettings: testable),
    // MPI in C, loaded when ranks begin.
    .target(name: "CMPI"),
    .target(
      name: "CarouselTraining",
      dependencies: [
        "CarouselModel", "CarouselFormats",
        .target(name: "CMPI", condition: .when(traits: ["MPI"])),
      ], swiftSettings: testable),

    // The one import for library users, and the command line.
    .target(
      name: "Carousel",
      dependencies: [
        "CarouselModel", "CarouselReference", "CarouselOpenCL", "CarouselFormats", "CarouselONNX",
        "CarouselTraining", "OpenCLDriver",
      ], swiftSettings: testable),
    .executableTarget(
      name: "CarouselCLI",
      dependencies: [
        "Carousel", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .executableTarget(name: "Example", dependencies: ["Carousel"]),
    .executableTarget(
      name: "OwnData", dependencies: ["Carousel"], path: "Examples/OwnData",
      exclude: ["make_model.py"], resources: [.copy("model.pt")]),
    .executableTarget(
      name: "CheckBits",
      dependencies: [
        "Carousel", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "FuzzFiles",
      dependencies: [
        "Carousel", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // What libFuzzer calls; Tools/fuzz links it.
    .target(
      name: "FuzzParsers",
      dependencies: ["CarouselONNX", "CarouselFormats", "CarouselReference", "CarouselModel"]),
    .executableTarget(
      name: "LSTMInFourKernels", dependencies: ["CarouselOpenCL", "OpenCLDriver"],
      path: "Examples/LSTMInFourKernels", resources: [.copy("Kernels")]),
    .executableTarget(
      name: "MeasureActivations",
      dependencies: [
        "CarouselOpenCL", "OpenCLDriver",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .testTarget(name: "OpenCLDriverTests", dependencies: ["OpenCLDriver"], swiftSettings: tests),
    .testTarget(name: "CarouselModelTests", dependencies: ["CarouselModel"], swiftSettings: tests),
    .testTarget(
      name: "CarouselReferenceTests",
      dependencies: ["CarouselReference", "CarouselModel"],
      resources: [.copy("Goldens")], swiftSettings: tests),
    .testTarget(
      name: "CarouselOpenCLTests",
      dependencies: ["CarouselOpenCL", "CarouselReference", "CarouselModel", "OpenCLDriver"],
      swiftSettings: tests),
    .testTarget(
      name: "CarouselFormatsTests",
      dependencies: [
        "CarouselFormats", "CarouselModel",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], resources: [.copy("NumPy"), .copy("PyTorch")], swiftSettings: tests),
    .testTarget(
      name: "CarouselONNXTests",
      dependencies: [
        "CarouselONNX", "CarouselFormats", "CarouselModel", "CarouselReference",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], swiftSettings: tests),
    .testTarget(
      name: "CarouselTrainingTests",
      dependencies: [
        "CarouselTraining", "CarouselReference", "CarouselModel", "CarouselFormats",
      ], swiftSettings: tests),
    .testTarget(
      name: "CarouselCLITests", dependencies: ["Carousel", "CarouselFormats", "CarouselModel"],
      exclude: ["frozen-bits.txt"], swiftSettings: tests),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c2x
)
