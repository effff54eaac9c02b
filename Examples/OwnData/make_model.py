#!/usr/bin/env python3
"""Writes model.pt beside this file: a model of PyTorch, an input and what it makes of it.

The model learns running averages of two of its three inputs. Run it again, with the package torch installed, only
to change the file.
"""

from pathlib import Path

import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 12, num_layers=2)
        self.fc = torch.nn.Linear(12, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


torch.manual_seed(1)
torch.set_num_threads(1)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(200):
    x = torch.randn(20, 16, 3)
    target = torch.zeros(20, 16, 2)
    for t in range(20):
        target[t] = 0.7 * target[t - 1] + 0.3 * x[t, :, :2] if t else 0.3 * x[t, :, :2]
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), target)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.5f}")
x = torch.randn(15, 4, 3)
tensors = dict(model.state_dict())
with torch.no_grad():
    tensors.update(x=x, y=model(x))
torch.save(tensors, Path(__file__).with_name("model.pt"))
