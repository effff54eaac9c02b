"""PyTorch's side of the benchmark: measures the cases that it reads, a line of JSON for each.

    {"kind": "layer", "case": {"cell": "lstm", "mode": "training", "steps": 50, ...}}
    {"kind": "text", "case": {"data": "Data/kjv/kjv.txt", "hiddenSize": 256, ...}}

All data is made before the clock starts; an NVIDIA GPU computes where there is one (with cuDNN), else
every core.
"""

import os
import statistics

import torch

from timing import serve, timed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECURRENT = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


def finish():
    """Waits for the GPU, where there is one."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def layer(case):
    """Recurrent layers: one forward pass, or forward and backward with the gradients of x and of
    every parameter. Sequences of different lengths are packed before the clock starts."""
    torch.manual_seed(1)
    recurrent = RECURRENT[case["cell"]](
        case["inputSize"],
        case["hiddenSize"],
        case["layers"],
        bidirectional=case["bidirectional"],
    ).to(DEVICE)
    x = torch.randn(case["steps"], case["batchSize"], case["inputSize"], device=DEVICE)
    if case["lengths"]:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(case["lengths"]), enforce_sorted=False
        )
        x = packed.data

        def forward():
            y, _ = recurrent(packed._replace(data=x))
            return y.data
    else:

        def forward():
            y, _ = recurrent(x)
            return y

    if case["mode"] == "training":
        inputs = [x.requires_grad_(), *recurrent.parameters()]
        grad_y = torch.randn_like(forward())

        def iterate():
            torch.autograd.grad(forward(), inputs, grad_y)
            finish()
    else:
        recurrent.eval()

        def iterate():
            with torch.inference_mode():
                forward()
            finish()

    seconds = timed(iterate, case["iterations"], case["warmup"])
    return {"medianSeconds": statistics.median(seconds), "minSeconds": min(seconds)}


class TextModel(torch.nn.Module):
    """Embedding, LSTM, linear output: the network of `carousel train text`."""

    def __init__(self, vocabulary, embedding_size, hidden_size, layers):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, embedding_size)
        self.recurrent = torch.nn.LSTM(embedding_size, hidden_size, layers)
        self.output = torch.nn.Linear(hidden_size, vocabulary)

    def forward(self, tokens, state):
        y, state = self.recurrent(self.embedding(tokens), state)
        return self.output(y), state


def text(case):
    """Truncated backpropagation over N parallel streams of bytes, the state carried over."""
    torch.manual_seed(1)
    steps, batch_size = case["steps"], case["batchSize"]
    with open(case["data"], "rb") as file:
        data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).to(DEVICE)
    vocabulary, tokens = torch.unique(data, return_inverse=True)
    length = (tokens.numel() - 1) // batch_size
    inputs = tokens[: length * batch_size].view(batch_size, length).t().contiguous()
    targets = tokens[1 : length * batch_size + 1].view(batch_size, length).t().contiguous()
    model = TextModel(
        vocabulary.numel(), case["embeddingSize"], case["hiddenSize"], case["layers"]
    ).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=case["learningRate"])
    windows = length // steps
    state, window = None, 0

    def iterate():
        nonlocal state, window
        if window == 0:
            state = None
        here = slice(window * steps, (window + 1) * steps)
        logits, state = model(inputs[here], state)
        state = tuple(part.detach() for part in state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[here].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), case["clip"])
        optimizer.step()
        window = (window + 1) % windows
        return loss.item()

    seconds = timed(iterate, case["iterations"], case["warmup"])
    # The rate over each stretch as long as the warm-up, as Carousel logs it.
    stretches = [seconds[i : i + case["warmup"]] for i in range(0, len(seconds), case["warmup"])]
    rates = [len(stretch) * steps * batch_size / sum(stretch) for stretch in stretches]
    return {
        "medianSeconds": statistics.median(seconds),
        "minSeconds": min(seconds),
        "bytesPerSecond": statistics.median(rates),
    }


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # Float32 is Float32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    version = torch.__version__
    if DEVICE == "cuda":
        version += f" with cuDNN {torch.backends.cudnn.version()}"
    serve(version, {"layer": layer, "text": text})


if __name__ == "__main__":
    main()
