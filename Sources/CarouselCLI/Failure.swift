import ArgumentParser
import Carousel
import Foundation

/// How a command ends that did not simply return: the one place that knows about exit statuses.
struct Failure {
  /// The status that the shell sees.
  let status: Int32
  /// What goes to standard error behind `carousel: `; nil where there is nothing to say.
  let sentence: String?
  /// What goes to standard error below the sentence, line by line.
  let log: String?
  /// What goes to standard output: the help or the version that was asked for.
  let answer: String?

  /// An internal error: one that the program should have turned into something better.
  private static let internalError: Int32 = 70

  init(_ error: any Error) {
    switch error {
    case let error as CarouselError:
      self.init(status: error.kind.rawValue, sentence: error.message)
    case let error as OpenCLError:
      self.init(
        status: CarouselError.Kind.noDevice.rawValue, sentence: error.sentence,
        log: error.buildLog)
    case let error as RankFailure:
      self.init(status: error.status, sentence: error.sentence.isEmpty ? nil : "\(error)")
    case is ClosedPipe:
      self.init(status: 0, sentence: nil)
    case let exitCode as ExitCode:
      self.init(status: exitCode.rawValue, sentence: nil)
    case let error as CocoaError:
      self.init(
        status: Self.status(of: error.code), sentence: error.localizedDescription)
    default:
      self.init(parsing: error)
    }
  }

  private init(status: Int32, sentence: String?, log: String? = nil, answer: String? = nil) {
    self.status = status
    self.sentence = sentence
    self.log = log
    self.answer = answer
  }

  private init(parsing error: any Error) {
    let message = CarouselCommand.message(for: error)
    switch CarouselCommand.exitCode(for: error) {
    case .success:
      self.init(status: 0, sentence: nil, answer: message)
    case .validationFailure:
      self.init(
        status: CarouselError.Kind.usage.rawValue,
        sentence: WrongValue(message)?.sentence ?? message.usageSentence)
    default:
      self.init(status: Self.internalError, sentence: message.singleLine)
    }
  }

  private static func status(of code: CocoaError.Code) -> Int32 {
    switch code.rawValue {
    case 256..<512: CarouselError.Kind.missingInput.rawValue
    case 4: CarouselError.Kind.missingInput.rawValue
    case 512..<1024: CarouselError.Kind.writeFailed.rawValue
    default: internalError
    }
  }

  /// Says it and ends the process.
  func exit() -> Never {
    Progress.end()
    if let answer {
      do {
        try Output.write(answer)
      } catch {
        Failure(error).exit()
      }
    }
    if let sentence {
      Output.note("carousel: \(sentence)")
    }
    if let log { Output.note(log: log) }
    Drivers.wait()
    Foundation.exit(status)
  }
}

extension OpenCLError {
  /// What happened, without the build log.
  fileprivate var sentence: String {
    explanation ?? "OpenCL failed with \(name) (\(code)) while \(doing)"
  }
}

extension String {
  /// What the parser says of a command line, as it goes on behind a colon.
  fileprivate var usageSentence: String {
    let sentence = replacing(". Did you mean", with: "; did you mean")
      .replacing(". Please provide one of", with: "; expected one of").singleLine
    return sentence.prefix(1).lowercased() + sentence.dropFirst()
  }

  /// The text with its line breaks replaced, and no full stop at the end.
  fileprivate var singleLine: String {
    let line = split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }.joined(separator: " ")
    return line.hasSuffix(".") && !line.hasSuffix("...") ? String(line.dropLast()) : line
  }
}
