"""ONNX Runtime's side of the benchmark: measures the cases of inference that it reads, a line of JSON
for each.

    {"kind": "layer", "case": {"cell": "lstm", "mode": "inference", "steps": 50, ...}}
    {"kind": "model", "case": {"file": "silero.onnx", "shapes": {"input": [1, 576]}, ...}}

The weights are constants of the graph, so that the runtime packs them once; all data is made before
the clock starts; every core computes.
"""

import os
import statistics

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from timing import serve, timed

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def graph(case):
    """x [T, N, C] through all layers to y [T, N, D H]."""
    cell, hidden = case["cell"], case["hiddenSize"]
    directions = 2 if case["bidirectional"] else 1
    draw = numpy.random.default_rng(1)
    nodes, constants = [], []
    value, width = "x", case["inputSize"]

    def constant(name, array):
        constants.append(numpy_helper.from_array(array, name))
        return name

    def weights(name, *shape):
        array = draw.uniform(-1, 1, shape) / hidden**0.5
        return constant(name, array.astype(numpy.float32))

    rows = GATES[cell] * hidden
    shape = constant("shape", numpy.array([0, 0, -1], dtype=numpy.int64))
    for layer in range(case["layers"]):
        inputs = [
            value,
            weights(f"W{layer}", directions, rows, width),
            weights(f"R{layer}", directions, rows, hidden),
            weights(f"B{layer}", directions, 2 * rows),
            "lengths" if case["lengths"] else "",
        ]
        attributes = {"hidden_size": hidden}
        attributes["direction"] = "bidirectional" if directions == 2 else "forward"
        if cell == "gru":
            # The reset gate after the product, as in cuDNN and PyTorch.
            attributes["linear_before_reset"] = 1
        nodes.append(helper.make_node(cell.upper(), inputs, [f"y{layer}"], **attributes))
        # [T, D, N, H] to [T, N, D H].
        nodes.append(
            helper.make_node("Transpose", [f"y{layer}"], [f"t{layer}"], perm=[0, 2, 1, 3])
        )
        nodes.append(helper.make_node("Reshape", [f"t{layer}", shape], [f"o{layer}"]))
        value, width = f"o{layer}", directions * hidden
    sizes = [case["steps"], case["batchSize"], case["inputSize"]]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)]
    if case["lengths"]:
        inputs.append(
            helper.make_tensor_value_info("lengths", TensorProto.INT32, [case["batchSize"]])
        )
    output = helper.make_tensor_value_info(value, TensorProto.FLOAT, [*sizes[:2], width])
    model = helper.make_model(
        helper.make_graph(nodes, "layers", inputs, [output], constants),
        opset_imports=[helper.make_opsetid("", 14)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def measured(session, inputs, case):
    seconds = timed(lambda: session.run(None, inputs), case["iterations"], case["warmup"])
    return {"medianSeconds": statistics.median(seconds), "minSeconds": min(seconds)}


def layer(case):
    session = session_of(graph(case).SerializeToString())
    draw = numpy.random.default_rng(2)
    x = draw.standard_normal((case["steps"], case["batchSize"], case["inputSize"]))
    inputs = {"x": x.astype(numpy.float32)}
    if case["lengths"]:
        inputs["lengths"] = numpy.array(case["lengths"], dtype=numpy.int32)
    return measured(session, inputs, case)


def model(case):
    session = session_of(case["file"])
    draw = numpy.random.default_rng(2)
    inputs = {}
    for given in session.get_inputs():
        if given.name in case["values"]:
            inputs[given.name] = numpy.array(case["values"][given.name], dtype=numpy.int64)
        else:
            inputs[given.name] = draw.standard_normal(case["shapes"][given.name]).astype(numpy.float32)
    return measured(session, inputs, case)


if __name__ == "__main__":
    serve(onnxruntime.__version__, {"layer": layer, "model": model})
