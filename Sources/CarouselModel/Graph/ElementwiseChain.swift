/// Functions that are applied to an element one after the other, without writing what is between them.
///
/// The numbers are counted together: first the inputs, then the results of the steps in their order. The last
/// step's result is the chain's.
public struct ElementwiseChain: Hashable, Sendable {
  /// One function, and the places of what it reads: inputs, or results of steps before it.
  public struct Step: Hashable, Sendable {
    /// The function, which is not a chain.
    public let function: ElementwiseFunction
    /// As many places as it reads numbers.
    public let operands: [Int]

    /// Applies a function to the numbers at some places.
    public init(_ function: ElementwiseFunction, _ operands: [Int]) {
      self.function = function
      self.operands = operands
    }
  }

  /// The most inputs of a chain, as of any function.
  public static let maximumInputs = 4
  /// The most steps of a chain: longer ones would be compiled for long.
  public static let maximumSteps = 12

  /// How many numbers it reads.
  public let inputCount: Int
  /// What is done, in order; never empty.
  public let steps: [Step]

  /// Describes a chain.
  public init(inputCount: Int, steps: [Step]) {
    precondition(!steps.isEmpty && inputCount <= Self.maximumInputs, "a chain of \(steps)")
    self.inputCount = inputCount
    self.steps = steps
  }

  /// The result in Float64; numbers beyond `inputCount` do not matter.
  public func value(_ inputs: [Double]) -> Double {
    var numbers = Array(inputs.prefix(inputCount))
    for step in steps {
      func operand(_ index: Int) -> Double {
        index < step.operands.count ? numbers[step.operands[index]] : 0
      }
      numbers.append(step.function.value(operand(0), operand(1), operand(2), operand(3)))
    }
    return numbers.last ?? .nan
  }
}

extension ElementwiseFunction {
  /// A chain of this function and another that reads its result.
  ///
  /// Both read places of `inputCount` inputs: this one those of `operands`; the other those of `next` but
  /// where that is nil, which is this one's result.
  func followed(
    by other: ElementwiseFunction, operands: [Int], next: [Int?], inputCount: Int
  ) -> ElementwiseChain {
    let first = steps(reading: operands, after: inputCount)
    let result = inputCount + first.count - 1
    let second = other.steps(reading: next.map { $0 ?? result }, after: inputCount + first.count)
    return ElementwiseChain(inputCount: inputCount, steps: first + second)
  }

  /// This function of inputs at other places.
  func reading(_ places: [Int], inputCount: Int) -> ElementwiseChain {
    ElementwiseChain(inputCount: inputCount, steps: steps(reading: places, after: inputCount))
  }

  /// How many functions it is.
  package var stepCount: Int {
    if case .chain(let chain) = self { chain.steps.count } else { 1 }
  }

  /// Its steps, where its inputs are at places `operands` and its own results follow `count` others.
  private func steps(reading operands: [Int], after count: Int) -> [ElementwiseChain.Step] {
    guard case .chain(let chain) = self else { return [ElementwiseChain.Step(self, operands)] }
    return chain.steps.map { step in
      ElementwiseChain.Step(
        step.function,
        step.operands.map { place in
          place < chain.inputCount ? operands[place] : count + place - chain.inputCount
        })
    }
  }
}
