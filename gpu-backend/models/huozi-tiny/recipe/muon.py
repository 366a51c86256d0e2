"""Muon for the hidden matrices (orthogonalised momentum; K. Jordan 2024), AdamW for the rest.

Matrices of one shape are stacked, so that Newton-Schulz is a few batched products.
The update is scaled to AdamW's typical size (0.2 RMS), so one learning rate serves both.
"""

import torch


def orthogonalise(g, steps):
    x = g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315) @ x
    return x


class Muon:
    def __init__(self, params, momentum=0.95, decay=0.02, steps=5):
        self.momentum, self.decay, self.steps = momentum, decay, steps
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape[-2:]), []).append(p)
        self.state = [torch.zeros_like(p) for ps in self.groups.values() for p in ps]

    @torch.no_grad()
    def step(self, lr):
        states = iter(self.state)
        for (rows, cols), ps in self.groups.items():
            updates = []
            for p in ps:
                m = next(states)
                m.lerp_(p.grad, 1 - self.momentum)
                updates.append(p.grad.lerp(m, self.momentum).view(-1, rows, cols))
            sizes = [len(u) for u in updates]
            o = orthogonalise(torch.cat(updates), self.steps).mul_(0.2 * max(rows, cols) ** 0.5)
            for p, u in zip(ps, o.split(sizes)):
                p.mul_(1 - lr * self.decay).sub_(u.view_as(p), alpha=lr)
