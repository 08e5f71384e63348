#!/usr/bin/env python3
"""Peak memory of guided DDPM sampling in PyTorch: DiT-S/2 on 64x64 pixels, the whole batch at once, two steps.

  sampling_memory.py COUNT      prints the peak of the process in kB

Beside it: sampling-memory.sh, which runs dit4j too and prints by how much each grows.
"""
import resource
import sys

import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

WIDTH, DEPTH, HEADS, PATCH, SIZE = 384, 12, 6, 2, 64


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.modulation = nn.Linear(WIDTH, 6 * WIDTH)

    def forward(self, x, c):
        n, t, d = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(c)[:, None].chunk(6, -1)
        h = layer_norm(x, (d,), eps=1e-6) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).view(n, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        x = x + gate1 * self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        h = layer_norm(x, (d,), eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * self.fc2(gelu(self.fc1(h), approximate="tanh"))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.label = nn.Embedding(11, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.last = nn.Linear(WIDTH, PATCH * PATCH * 6)

    def forward(self, x, labels):
        tokens, c = self.embed(x).flatten(2).transpose(1, 2), self.label(labels)
        for block in self.blocks:
            tokens = block(tokens, c)
        grid = SIZE // PATCH
        out = self.last(tokens).view(-1, grid, grid, PATCH, PATCH, 6)
        return out.permute(0, 5, 1, 3, 2, 4).reshape(-1, 6, SIZE, SIZE)


count = int(sys.argv[1])
torch.manual_seed(0)
model = Network().eval()
with torch.inference_mode():
    x, y = torch.randn(count, 3, SIZE, SIZE), torch.zeros(count, dtype=torch.long)
    labels = torch.cat([y, torch.full_like(y, 10)])
    for _ in range(2):
        both = model(torch.cat([x, x]), labels)
        conditional, unconditional = both[:count, :3], both[count:, :3]
        noise = unconditional + 4 * (conditional - unconditional)
        x = (x - 0.1 * noise).clamp(-1, 1) + 0.01 * torch.randn_like(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
