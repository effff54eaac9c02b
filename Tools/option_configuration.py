"""Random recurrent layers with the options that PyTorch's own lack, for `verify_pytorch.py`."""

import random
from dataclasses import dataclass

import torch
from recurrent_layers import cells, parameter_shapes, stack, suffixes


@dataclass(frozen=True)
class OptionConfiguration:
    """A stack of layers and the tensors that it is given."""

    cell: str
    options: dict
    steps: int
    batchSize: int
    inputSize: int
    hiddenSize: int
    layers: int
    direction: str
    lengths: list
    states: bool

    @staticmethod
    def draw(seed):
        choose = random.Random(seed)

        def happens(probability):
            return choose.random() < probability

        cell = choose.choice(list(cells()))
        has = set(cells()[cell]["options"]).__contains__
        options = {"bias": choose.choice(["double", "single", "none"])}
        blocks = choose.choice([1, 1, 2, 3, 5])
        hidden_size = blocks * choose.randint(1, 48 // blocks)
        if not has("recurrence"):
            blocks = 1
        elif blocks > 1:
            options["recurrence"] = f"blocks:{blocks}"
        elif happens(0.2):
            options["recurrence"] = "diagonal"
        if has("layerNorm") and happens(0.4):
            # A norm of a few elements leaves little of its gradient but rounding.
            options["layerNorm"] = True
            hidden_size = max(hidden_size, 8 * blocks)
        if happens(0.3):
            options["zoneoutHidden"] = choose.choice([0.125, 0.25, 0.5])
        if has("gruReset") and happens(0.6):
            options["gruReset"] = "before"
        if cell == "mingru" and happens(0.5):
            options["activations"] = {"new": {"function": "positive"}}
        OptionConfiguration.draw_memory(choose, has, options, hidden_size, blocks)
        # A norm makes up for what a cell forgets: a rounding error grows from step to step, and from
        # layer to layer, in Float32 of PyTorch's as well.
        longest, deepest = (4, 2) if "layerNorm" in options else (20, 3)
        steps, batch_size = choose.randint(1, longest), choose.randint(1, 9)
        return OptionConfiguration(
            cell=cell,
            options=options,
            steps=steps,
            batchSize=batch_size,
            inputSize=choose.randint(2, 48),
            hiddenSize=hidden_size,
            layers=choose.randint(1, deepest),
            direction=choose.choice(["forward", "reverse", "bidirectional"]),
            lengths=[choose.choice([steps, choose.randint(0, steps)]) for _ in range(batch_size)],
            states=happens(0.7),
        )

    @staticmethod
    def draw_memory(choose, has, options, hidden_size, blocks):
        if has("forgetGate") and choose.random() < 0.5:
            forget = choose.choice(["coupled", "input", "output", "constant"])
            options["forgetGate"] = {forget: {"_0": 0.75} if forget == "constant" else {}}
        peeps = has("peepholes") and "output" not in options.get("forgetGate", {})
        if peeps and choose.random() < 0.4:
            options["peepholes"] = True
        if has("cellClip") and choose.random() < 0.3:
            options["cellClip"] = choose.choice([0.25, 0.5])
        if has("zoneoutCell") and choose.random() < 0.3:
            options["zoneoutCell"] = choose.choice([0.125, 0.25, 0.5])
        widths = (hidden_size - 1) // blocks
        projects = has("projectionSize") and options.get("recurrence") != "diagonal" and widths > 1
        if projects and choose.random() < 0.4:
            options["projectionSize"] = choose.randint(2, widths) * blocks

    def parameters(self):
        """Drawn parameters by their names, the gains about 1."""
        shapes = parameter_shapes(
            self.cell, self.options, self.inputSize, self.hiddenSize, self.layers, self.direction
        )
        result = {}
        for name, shape in shapes.items():
            values = (2 * torch.rand(shape) - 1) / self.hiddenSize**0.5
            result[name] = (1 + values if name.startswith("weight_ln") else values).double()
        return {name: value.float().double().requires_grad_() for name, value in result.items()}

    def tensors(self):
        """Everything that IN holds but lengths, as Float64 of Float32 values."""
        units = len(suffixes(self.layers, self.direction))
        width = self.options.get("projectionSize", self.hiddenSize)
        directions = 2 if self.direction == "bidirectional" else 1
        shapes = {
            "x": (self.steps, self.batchSize, self.inputSize),
            "grad_y": (self.steps, self.batchSize, directions * width),
        }
        for name in cells()[self.cell]["states"]:
            size = width if name == "h" else self.hiddenSize
            shapes[f"grad_{name}_n"] = (units, self.batchSize, size)
            if self.states:
                shapes[f"{name}_0"] = (units, self.batchSize, size)
        values = {name: torch.randn(shape).float().double() for name, shape in shapes.items()}
        for name in cells()[self.cell]["positive"]:
            if self.states:
                values[f"{name}_0"] = (1 + values[f"{name}_0"].abs()).float().double()
        return values

    def words(self):
        """The options of `carousel run` that say what the tensors do not."""
        options = self.options
        result = ["--cell", self.cell]
        if self.direction == "reverse":
            result += ["--direction", "reverse"]
        forget = next(iter(options.get("forgetGate", {"own": {}})))
        result += {
            "own": [],
            "coupled": ["--couple-input-forget"],
            "input": ["--tie", "input=forget"],
            "output": ["--tie", "forget=output"],
            "constant": ["--forget-decay", "0.75"],
        }[forget]
        if "cellClip" in options:
            result += ["--cell-clip", str(options["cellClip"])]
        for gate, activation in options.get("activations", {}).items():
            result += ["--activation", f"{gate}={activation['function']}"]
        if "gruReset" in options:
            result += ["--gru-reset", "before"]
        if "zoneoutHidden" in options or "zoneoutCell" in options:
            hidden, cell = options.get("zoneoutHidden", 0), options.get("zoneoutCell", 0)
            both = "zoneoutCell" in cells()[self.cell]["options"]
            result += ["--zoneout", f"{hidden},{cell}" if both else f"{hidden}"]
        return result

    def case(self):
        """The model, what IN holds, all that `carousel run --gradients` writes, and bounds.

        The gradient of a stabiliser is a difference that is 0 but for what the last states are given:
        where PyTorch's own Float32 is farther from its Float64 than 1e-5, the bound is four times that.
        """
        parameters, inputs = self.parameters(), self.tensors()
        lengths = torch.tensor(self.lengths)
        expected = self.results(parameters, inputs, lengths)
        bounds = {name: 1e-5 for name in expected}
        if cells()[self.cell]["positive"]:
            single = {name: value.detach().float() for name, value in parameters.items()}
            single = {name: value.requires_grad_() for name, value in single.items()}
            given = {name: value.float() for name, value in inputs.items()}
            for name, value in self.results(single, given, lengths).items():
                error = (value.detach().double() - expected[name].detach()).abs().max()
                largest = expected[name].detach().abs().max()
                if largest > 0:
                    bounds[name] = max(bounds[name], 4 * float(error / largest))
        return parameters, inputs | {"lengths": lengths}, expected, bounds

    def results(self, parameters, inputs, lengths):
        """All that `carousel run --gradients` writes, by PyTorch."""
        x = inputs["x"].clone().requires_grad_()
        initial = {}
        for name in cells()[self.cell]["states"]:
            zeros = torch.zeros_like(inputs[f"grad_{name}_n"])
            initial[name] = inputs.get(f"{name}_0", zeros).clone().requires_grad_()
        y, final = stack(self.cell, self.options, parameters, x, lengths, initial, self.direction)
        loss = (y * inputs["grad_y"]).sum()
        for name, state in final.items():
            loss = loss + (state * inputs[f"grad_{name}_n"]).sum()
        loss.backward()
        expected = {"y": y, "grad_x": x.grad}
        for name, state in final.items():
            expected |= {f"{name}_n": state, f"grad_{name}_0": initial[name].grad}
        for name, parameter in parameters.items():
            gradient = parameter.grad
            expected[f"grad_{name}"] = torch.zeros_like(parameter) if gradient is None else gradient
        return expected
