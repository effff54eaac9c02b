"""Computes an ONNX model with PyTorch in Float64, so that PyTorch tells its gradients.

Knows the operators of the models that `Tools/fetch-data onnx-models` and the package silero-vad hold, and no other.
What carousel calls a parameter is a leaf here, by the same name: floating-point tensors of several numbers, and the
weights of recurrent nodes in PyTorch's order of gates behind the node's name.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional


class Model:
    """A model with its parameters as leaves."""

    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.leaves = {}

    def __call__(self, inputs):
        """The outputs by name, for inputs by name."""
        return dict(zip([o.name for o in self.graph.output], self.run(self.graph, dict(inputs))))

    def leaf(self, name, value):
        """A tensor that is trained, or one of whole numbers, or a single number."""
        value = torch.tensor(np.array(value))
        if not value.is_floating_point():
            return value
        value = value.double()
        if value.numel() < 2:
            return value
        if name not in self.leaves:
            self.leaves[name] = value.requires_grad_()
        return self.leaves[name]

    def run(self, graph, known):
        known = {**known, "": None}
        for tensor in graph.initializer:
            known[tensor.name] = self.leaf(tensor.name, numpy_helper.to_array(tensor))
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "If":
                branch = "then_branch" if bool(known[node.input[0]]) else "else_branch"
                results = self.run(attributes[branch], known)
            elif node.op_type == "Constant":
                value = attributes.get("value")
                array = numpy_helper.to_array(value) if value is not None else next(iter(attributes.values()))
                results = [self.leaf(node.output[0], array)]
            elif node.op_type in ("LSTM", "GRU"):
                results = self.recurrent(node, attributes, [known[name] for name in node.input])
            else:
                results = getattr(self, node.op_type)([known[name] for name in node.input], attributes, node)
                results = results if isinstance(results, (list, tuple)) else [results]
            known.update(zip(node.output, results))
        return [known[output.name] for output in graph.output]

    # Recurrent nodes

    def recurrent(self, node, attributes, inputs):
        x, weight, recurrent, bias = inputs[:4]
        state = inputs[5:7]
        hidden = recurrent.shape[2]
        order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}[node.op_type]
        directions = weight.shape[0]
        layer = getattr(torch.nn, node.op_type)(x.shape[2], hidden, bidirectional=directions == 2).double()

        def gates(value, direction):
            parts = value[direction].detach().split(hidden)
            return [torch.cat([half[g] for g in order])
                    for half in (parts[:len(order)], parts[len(order):]) if half]

        names = {}
        for direction in range(directions):
            suffix = "_l0" + ("_reverse" if direction else "")
            ih, hh = gates(bias, direction)
            for kind, value in (("weight_ih", gates(weight, direction)[0]),
                                ("weight_hh", gates(recurrent, direction)[0]), ("bias_ih", ih), ("bias_hh", hh)):
                names[kind + suffix] = self.leaf(f"{node.name}.{kind}{suffix}", value)
        if node.op_type == "GRU" and not attributes.get("linear_before_reset"):
            raise NotImplementedError("a GRU that resets before the product")
        given = None
        if state and state[0] is not None:
            given = tuple(state) if node.op_type == "LSTM" else state[0]
        arguments = (x,) if given is None else (x, given)
        y, final = torch.func.functional_call(layer, names, arguments)
        y = y.reshape(*y.shape[:2], directions, hidden).permute(0, 2, 1, 3)
        return [y, *(final if node.op_type == "LSTM" else [final])]

    # Element by element

    def Add(self, i, a, n): return i[0] + i[1]
    def Sub(self, i, a, n): return i[0] - i[1]
    def Mul(self, i, a, n): return i[0] * i[1]
    def Pow(self, i, a, n): return i[0] ** i[1]
    def Sqrt(self, i, a, n): return i[0].sqrt()
    def Relu(self, i, a, n): return i[0].relu()
    def Sigmoid(self, i, a, n): return i[0].sigmoid()
    def Tanh(self, i, a, n): return i[0].tanh()
    def Equal(self, i, a, n): return i[0] == i[1]
    def Not(self, i, a, n): return ~i[0]
    def Identity(self, i, a, n): return i[0]

    def Cast(self, i, a, n):
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(a["to"])).kind
        return i[0].double() if kind == "f" else i[0].bool() if kind == "b" else i[0].long()

    # Products

    def MatMul(self, i, a, n): return i[0] @ i[1]
    def Einsum(self, i, a, n): return torch.einsum(a["equation"].decode(), *i)

    def Gemm(self, i, a, n):
        left, right = i[0].T if a.get("transA") else i[0], i[1].T if a.get("transB") else i[1]
        product = a.get("alpha", 1) * (left @ right)
        return product + a.get("beta", 1) * i[2] if len(i) > 2 else product

    def window(self, i, a):
        axes = i[1].dim() - 2
        pads = list(a.get("pads", [0] * 2 * axes))
        assert pads[:axes] == pads[axes:] or not any(pads[axes:]), pads
        return axes, pads, dict(stride=a.get("strides", [1] * axes), dilation=a.get("dilations", [1] * axes),
                                groups=a.get("group", 1))

    def Conv(self, i, a, n):
        axes, pads, options = self.window(i, a)
        around = [size for axis in reversed(range(axes)) for size in (pads[axis], pads[axis + axes])]
        convolve = {1: functional.conv1d, 2: functional.conv2d}[axes]
        return convolve(functional.pad(i[0], around), i[1], i[2] if len(i) > 2 else None, **options)

    def ConvTranspose(self, i, a, n):
        axes, pads, options = self.window(i, a)
        convolve = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d}[axes]
        return convolve(i[0], i[1], i[2] if len(i) > 2 else None, padding=pads[:axes],
                        output_padding=a.get("output_padding", [0] * axes), **options)

    def ReduceMean(self, i, a, n):
        axes = a["axes"] if "axes" in a else i[1].tolist()
        return i[0].mean(axes, keepdim=bool(a.get("keepdims", 1)))

    # Views and shapes

    def Shape(self, i, a, n): return torch.tensor(i[0].shape)
    def Size(self, i, a, n): return torch.tensor(i[0].numel())
    def Transpose(self, i, a, n): return i[0].permute(*a["perm"])
    def Concat(self, i, a, n): return torch.cat(i, a["axis"])

    def Reshape(self, i, a, n):
        shape = [i[0].shape[k] if size == 0 else size for k, size in enumerate(i[1].tolist())]
        return i[0].reshape(shape)

    def Gather(self, i, a, n):
        axis = a.get("axis", 0) % i[0].dim()
        places = torch.where(i[1] < 0, i[1] + i[0].shape[axis], i[1])
        flat = i[0].index_select(axis, places.reshape(-1))
        return flat.reshape([*i[0].shape[:axis], *places.shape, *i[0].shape[axis + 1:]])

    def Unsqueeze(self, i, a, n):
        x, axes = i[0], a["axes"] if "axes" in a else i[1].tolist()
        for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
            x = x.unsqueeze(axis)
        return x

    def Squeeze(self, i, a, n):
        x, axes = i[0], a["axes"] if "axes" in a else i[1].tolist() if len(i) > 1 else range(i[0].dim())
        return x.squeeze([axis % x.dim() for axis in axes])

    def Slice(self, i, a, n):
        starts, ends = i[1].tolist(), i[2].tolist()
        axes = i[3].tolist() if len(i) > 3 else list(range(len(starts)))
        steps = i[4].tolist() if len(i) > 4 else [1] * len(starts)
        x = i[0]
        for start, end, axis, step in zip(starts, ends, axes, steps):
            places = range(*slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
                           .indices(x.shape[axis]))
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.long))
        return x

    def Split(self, i, a, n):
        sizes = a["split"] if "split" in a else i[1].tolist() if len(i) > 1 else None
        if sizes is None:
            sizes = [i[0].shape[a.get("axis", 0)] // len(n.output)] * len(n.output)
        return i[0].split(sizes, a.get("axis", 0))

    def ConstantOfShape(self, i, a, n):
        value = numpy_helper.to_array(a["value"]) if "value" in a else np.zeros(1, "f4")
        value = torch.tensor(value)
        value = value.double() if value.is_floating_point() else value
        return value.reshape([]).expand(i[0].tolist()).clone()

    def Pad(self, i, a, n):
        mode, pads = a.get("mode", b"constant").decode(), i[1].tolist() if len(i) > 1 else a["pads"]
        axes = len(pads) // 2
        around = [size for axis in reversed(range(axes)) for size in (pads[axis], pads[axis + axes])]
        while around and around[-2:] == [0, 0]:
            around = around[:-2]
        if mode == "reflect":
            return functional.pad(i[0], around, mode="reflect")
        return functional.pad(i[0], around, value=float(i[2]) if len(i) > 2 and i[2] is not None else 0.0)
