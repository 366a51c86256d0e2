"""Mixtral's maths, written to train fast on a CPU in float32.

Same computation as transformers' MixtralForCausalLM; what differs is only how:
tokens are sorted by expert so that every expert runs one matrix product, and
the language-model head runs at answer positions alone.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int
    dim: int = 256
    ffn: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    experts: int = 8
    top_k: int = 2
    rope_theta: float = 1e6
    eps: float = 1e-5
    max_position: int = 4096

    def to_dict(self):
        return asdict(self)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rope_tables(c: Config, length: int):
    half = c.dim // c.heads // 2
    freq = c.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.arange(length, dtype=torch.float32)[:, None] * freq
    return torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()


def rotate(x, cos, sin):  # x: (B, heads, T, head_dim); the two halves turn together
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c, self.head_dim = c, c.dim // c.heads
        kv = c.kv_heads * self.head_dim
        self.q = nn.Linear(c.dim, c.dim, bias=False)
        self.k = nn.Linear(c.dim, kv, bias=False)
        self.v = nn.Linear(c.dim, kv, bias=False)
        self.o = nn.Linear(c.dim, c.dim, bias=False)

    def forward(self, x, cos, sin, cache=None):
        B, T, _ = x.shape
        q = rotate(self.q(x).view(B, T, -1, self.head_dim).transpose(1, 2), cos, sin)
        k = rotate(self.k(x).view(B, T, -1, self.head_dim).transpose(1, 2), cos, sin)
        v = self.v(x).view(B, T, -1, self.head_dim).transpose(1, 2)
        mask = None
        if cache is not None:  # evaluation: cache = dict(k, v, mask)
            if "k" in cache:
                k, v = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
            cache["k"], cache["v"] = k, v
            mask = cache["mask"]
        groups = self.c.heads // self.c.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o(y.transpose(1, 2).reshape(B, T, -1))


class MoE(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.gate = nn.Linear(c.dim, c.experts, bias=False)
        self.w1 = nn.Parameter(torch.empty(c.experts, c.ffn, c.dim))  # gate
        self.w3 = nn.Parameter(torch.empty(c.experts, c.ffn, c.dim))  # up
        self.w2 = nn.Parameter(torch.empty(c.experts, c.dim, c.ffn))  # down

    def forward(self, x, stats=None):  # x: (N, dim)
        c = self.c
        logits = self.gate(x)
        probs = logits.softmax(-1)
        weight, chosen = probs.topk(c.top_k, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        flat = chosen.reshape(-1)
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=c.experts)
        token = order // c.top_k
        parts = x[token].split(counts.tolist())
        out = []
        for part, w1, w3, w2 in zip(parts, self.w1.unbind(0), self.w3.unbind(0), self.w2.unbind(0)):
            out.append((F.silu(part @ w1.T) * (part @ w3.T)) @ w2.T)
        y = torch.cat(out) * weight.reshape(-1)[order, None]
        if stats is not None:
            stats.append((logits, probs, counts))
        return torch.zeros_like(x).index_add_(0, token, y)


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.attn_norm, self.attn = RMSNorm(c.dim, c.eps), Attention(c)
        self.ffn_norm, self.moe = RMSNorm(c.dim, c.eps), MoE(c)

    def forward(self, x, cos, sin, stats=None, cache=None):
        x = x + self.attn(self.attn_norm(x), cos, sin, cache)
        h = self.ffn_norm(x)
        return x + self.moe(h.reshape(-1, h.shape[-1]), stats).view_as(h)


class Model(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.dim)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.dim, c.eps)
        self.head = nn.Linear(c.dim, c.vocab, bias=False)
        cos, sin = rope_tables(c, c.max_position)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02 if "embed" in name or "head" in name else p.shape[-1] ** -0.5)
            if name.endswith(("o.weight", "w2")):
                p.data.mul_((2 * c.layers) ** -0.5)

    def hidden(self, ids, stats=None, caches=None, positions=None):
        T = ids.shape[1]
        if positions is None:
            cos, sin = self.cos[:T], self.sin[:T]
        else:  # (B, T) -> (B, 1, T, head_dim)
            cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x = self.embed(ids)
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, stats, caches[i] if caches else None)
        return self.norm(x)


def router_losses(stats, real):
    """Load-balancing loss (1.0 = perfectly even) and z-loss over real (unpadded) tokens, averaged over layers."""
    balance = z = 0.0
    for logits, probs, _ in stats:
        logits, probs = logits[real], probs[real]
        top2 = probs.topk(2, -1).indices
        share = torch.zeros_like(probs).scatter_(1, top2, 1.0).mean(0) / 2
        balance = balance + probs.shape[-1] * (share * probs.mean(0)).sum()
        z = z + logits.logsumexp(-1).square().mean()
    return balance / len(stats), z / len(stats)
