import COpenCL

/// The two-call protocol of the `clGet…Info` functions: ask for the size, then for the value.
enum Query {
  /// A `clGet…Info` function with its handle and parameter filled in.
  typealias Call = (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int

  /// A value of fixed size; `initial` only fixes its type and size.
  static func value<Value: BitwiseCopyable>(
    _ initial: Value, _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> Value {
    var value = initial
    let code = withUnsafeMutableBytes(of: &value) { call($0.count, $0.baseAddress, nil) }
    try check(code, doing())
    return value
  }

  /// A value of as many bytes as OpenCL says.
  static func bytes(
    _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> [UInt8] {
    var size = 0
    try check(call(0, nil, &size), doing())
    guard size > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: size)
    let code = bytes.withUnsafeMutableBytes { call(size, $0.baseAddress, nil) }
    try check(code, doing())
    return bytes
  }

  /// A text up to its terminating zero, without white space around it.
  static func string(
    _ doing: @autoclosure () -> String, _ call: Call
  ) throws(OpenCLError) -> String {
    let text = String(decoding: try bytes(doing(), call).prefix { $0 != 0 }, as: UTF8.self)
    let isSpace = { (character: Character) in character.isWhitespace }
    let head = text.drop(while: isSpace)
    return String(String(head.reversed().drop(while: isSpace)).reversed())
  }
}
