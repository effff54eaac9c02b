"""PyTorch's side of the benchmark: measures one case and prints one JSON document.

    python pytorch_peer.py layer '{"cell": "lstm", "mode": "training", "steps": 50, ...}'
    python pytorch_peer.py text '{"data": "Data/kjv/kjv.txt", "hiddenSize": 256, ...}'
    python pytorch_peer.py version

All data is made before the clock starts; every core computes.
"""

import json
import os
import statistics
import sys
import time

import torch

RECURRENT = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


def timed(iterate, iterations, warmup):
    """Seconds of each of `iterations` calls, after `warmup` calls that do not count."""
    for _ in range(warmup):
        iterate()
    seconds = []
    for _ in range(iterations):
        begin = time.perf_counter()
        iterate()
        seconds.append(time.perf_counter() - begin)
    return seconds


def layer(case):
    """One recurrent layer: a forward pass, or forward and backward with the gradients of x and
    of every parameter."""
    torch.manual_seed(1)
    recurrent = RECURRENT[case["cell"]](case["inputSize"], case["hiddenSize"])
    x = torch.randn(case["steps"], case["batchSize"], case["inputSize"])
    if case["mode"] == "training":
        inputs = [x.requires_grad_(), *recurrent.parameters()]
        grad_y = torch.randn(case["steps"], case["batchSize"], case["hiddenSize"])

        def iterate():
            y, _ = recurrent(x)
            torch.autograd.grad(y, inputs, grad_y)
    else:
        recurrent.eval()

        def iterate():
            with torch.inference_mode():
                recurrent(x)

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
        data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    vocabulary, tokens = torch.unique(data, return_inverse=True)
    length = (tokens.numel() - 1) // batch_size
    inputs = tokens[: length * batch_size].view(batch_size, length).t().contiguous()
    targets = tokens[1 : length * batch_size + 1].view(batch_size, length).t().contiguous()
    model = TextModel(
        vocabulary.numel(), case["embeddingSize"], case["hiddenSize"], case["layers"]
    )
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
        "charactersPerSecond": statistics.median(rates),
    }


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if sys.argv[1] == "version":
        result = {"version": torch.__version__, "threads": torch.get_num_threads()}
    else:
        measure = {"layer": layer, "text": text}[sys.argv[1]]
        result = {"wall": measure(json.loads(sys.argv[2]))}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
