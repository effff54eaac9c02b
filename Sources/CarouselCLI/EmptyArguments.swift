import Carousel

/// Arguments that are empty, as an unset variable of a script makes them.
enum EmptyArguments {
  /// The options whose value may be empty: they take a text, and not a file, a folder or a number.
  private static let texts: Set = ["--prompt", "--prefix"]

  /// Throws a usage error where an argument or the value of an option is empty.
  ///
  /// A folder whose name is empty would be the root folder.
  static func refuse(_ arguments: some Sequence<String>) throws(CarouselError) {
    var previous = "the command"
    for argument in arguments {
      let isBareOption = argument.hasPrefix("--") && argument.hasSuffix("=")
      let option = isBareOption ? String(argument.dropLast()) : previous
      if argument.isEmpty || isBareOption && !option.contains("="), !texts.contains(option) {
        throw CarouselError(.usage, "expected a value behind \(option), found an empty text")
      }
      previous = argument
    }
  }
}
