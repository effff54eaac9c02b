"""PyTorch's side of tasks.py: reads a task as JSON, trains, and prints {"test": {"accuracy": …}}."""

import copy
import gzip
import json
import math
import os
import struct
import sys

import torch


def ts_file(path):
    """The sequences [T, C] of a .ts file, and their labels."""
    sequences, labels, begun = [], [], False
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if begun:
                *channels, label = line.strip().split(":")
                rows = [[float(word) for word in channel.split(",")] for channel in channels]
                sequences.append(torch.tensor(rows).T.contiguous())
                labels.append(label)
            begun = begun or line.startswith("@data")
    return sequences, labels


def idx_file(path):
    """The bytes of a compressed IDX file, in its shape."""
    with gzip.open(path) as file:
        data = bytearray(file.read())
    axes = data[3]
    shape = struct.unpack(f">{axes}I", data[4:4 + 4 * axes])
    return torch.frombuffer(data, dtype=torch.uint8, offset=4 + 4 * axes).reshape(shape)


def examples(path):
    if path.endswith(".ts"):
        return ts_file(path)
    labels = idx_file(path.replace("images-idx3", "labels-idx1")).tolist()
    return list(idx_file(path).float()), labels


class Classifier(torch.nn.Module):
    """A recurrent layer, and a linear one on each sequence's last step."""

    def __init__(self, task, channels, classes):
        super().__init__()
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[task["cell"]]
        self.recurrent = kind(channels, task["hiddenSize"])
        self.output = torch.nn.Linear(task["hiddenSize"], classes)

    def forward(self, x, lengths):
        if lengths is not None:
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        state = self.recurrent(x)[1]
        return self.output((state[0] if isinstance(state, tuple) else state)[-1])


def batch(data, indices):
    """x [T, N, C], the lengths where they differ, and the classes."""
    sequences, labels = data
    if torch.is_tensor(sequences):
        return sequences[indices].transpose(0, 1), None, labels[indices]
    chosen = [sequences[i] for i in indices]
    lengths = torch.tensor([len(each) for each in chosen])
    x = torch.nn.utils.rnn.pad_sequence(chosen)
    return x, None if (lengths == lengths[0]).all() else lengths, labels[indices]


def judge(model, data, size):
    """The loss and the accuracy."""
    loss, right, count = 0.0, 0, len(data[0])
    order = sorted(range(count), key=lambda i: len(data[0][i]))
    with torch.no_grad():
        for start in range(0, count, size):
            x, lengths, labels = batch(data, order[start:start + size])
            logits = model(x, lengths)
            loss += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
    return loss / count, right / count


def main():
    task = json.load(sys.stdin)
    torch.manual_seed(task["seed"])
    torch.set_num_threads(os.cpu_count())
    sequences, names = examples(task["train"])
    classes = {name: index for index, name in enumerate(sorted(set(names)))}
    labels = torch.tensor([classes[name] for name in names])
    order = torch.randperm(len(sequences)).tolist()
    held = round(len(order) * task["validation"])
    steps = torch.cat([sequences[i] for i in order[held:]])
    mean, deviation = steps.mean(0), steps.std(0).clamp_min(1e-8)

    def part(sequences, labels):
        if len({len(each) for each in sequences}) == 1:
            return (torch.stack(sequences) - mean) / deviation, labels
        return [(each - mean) / deviation for each in sequences], labels

    training = part([sequences[i] for i in order[held:]], labels[order[held:]])
    validation = part([sequences[i] for i in order[:held]], labels[order[:held]])
    sequences, names = examples(task["test"])
    test = part(sequences, torch.tensor([classes[name] for name in names]))

    model = Classifier(task, len(mean), len(classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=task["learningRate"])
    size, count = task["batchSize"], len(training[0])
    total = task["epochs"] * math.ceil(count / size)
    warmup = min(task["warmup"], total)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (step + 1) / warmup if step < warmup else
        0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1))))
    best = (math.inf, None)
    for _ in range(task["epochs"]):
        # Batches of like length, in any order.
        ranks = sorted(torch.randperm(count).tolist(), key=lambda i: len(training[0][i]))
        batches = [ranks[start:start + size] for start in range(0, count, size)]
        for index in torch.randperm(len(batches)).tolist():
            x, lengths, labels = batch(training, batches[index])
            loss = torch.nn.functional.cross_entropy(model(x, lengths), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), task["clip"])
            optimizer.step()
            rate.step()
        loss, _ = judge(model, validation, size)
        if loss < best[0]:
            best = (loss, copy.deepcopy(model.state_dict()))
    model.load_state_dict(best[1])
    print(json.dumps({"test": {"accuracy": judge(model, test, size)[1]}}))


main()
