"""Train huozi-tiny. Stops by the clock, so that a busy machine cannot leave the
learning rate undecayed; checkpoints every few minutes and resumes from there.

    python train.py TOKENIZER_DIR RUN_DIR --until 18:05 [--batch 6144] [--lr 3e-3]

RUN_DIR/mix.json, when present, overrides the task mix and is read again at every
evaluation: that is how a weak task gets more weight while training goes on.
"""

import argparse
import datetime
import json
import os
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import dialogues
from chatml import ChatML
from evaluate import score
from model import Config, Model, router_losses
from muon import Muon

BALANCE, ZLOSS = 0.01, 1e-4


class Threads:
    """One thread or all? Two threads that wait for each other are slower than one on a busy
    machine, and twice as fast on a quiet one: time both now and then, keep the better."""

    def __init__(self, most):
        self.choices, self.speed, self.steps = sorted({1, most}), {}, 0
        torch.set_num_threads(1)

    def step(self, tokens_per_second):
        now = torch.get_num_threads()
        old = self.speed.get(now, tokens_per_second)
        self.speed[now] = 0.7 * old + 0.3 * tokens_per_second
        self.steps += 1
        trial = self.steps % 40 < 3
        best = max(self.choices, key=lambda n: self.speed.get(n, 1e9))
        torch.set_num_threads(best if not trial else next((n for n in self.choices if n != best), best))


def batches(chat, rng, mix, tokens, pool=1500):
    """Dialogues of similar length, padded on the right; ~`tokens` real tokens each."""
    while True:
        rows = [chat.encode(*dialogues.sample(rng, mix), bos=rng.random() > 0.03) for _ in range(pool)]
        rows.sort(key=lambda r: len(r[0]))
        groups, group = [], []
        for row in rows:
            group.append(row)
            if sum(len(r[0]) for r in group) >= tokens:
                groups.append(group)
                group = []
        rng.shuffle(groups)  # the incomplete last group, the longest dialogues, goes to the front
        for group in ([group] if group else []) + groups:
            width = max(len(r[0]) for r in group)
            ids = torch.zeros(len(group), width, dtype=torch.long)
            learn = torch.zeros(len(group), width, dtype=torch.bool)
            for i, (tokens_, mask) in enumerate(group):
                ids[i, : len(tokens_)] = torch.tensor(tokens_)
                learn[i, : len(mask)] = torch.tensor(mask, dtype=torch.bool)
            yield ids, learn, sum(len(r[0]) for r in group)


def at(clock):
    hour, minute = map(int, clock.split(":"))
    return datetime.datetime.now().replace(hour=hour, minute=minute, second=0).timestamp()


def save(path, payload):
    torch.save(payload, str(path) + ".tmp")
    os.replace(str(path) + ".tmp", path)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tokenizer")
    p.add_argument("run")
    p.add_argument("--until", required=True)
    p.add_argument("--batch", type=int, default=6144)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--muon", choices=["none", "attention", "all"], default="attention", help="which matrices Muon steps; AdamW takes the rest")
    p.add_argument("--init", help="checkpoint whose weights to begin from, with a fresh optimizer and schedule")
    p.add_argument("--every", type=float, default=240, help="seconds between evaluations")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--seed", type=int, default=35)
    a = p.parse_args()
    run = Path(a.run)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    chat = ChatML(a.tokenizer)
    model = Model(Config(chat.vocab, layers=a.layers))
    part = {"none": "-", "attention": ".attn.", "all": "blocks."}[a.muon]
    hidden = [p for n, p in model.named_parameters() if p.dim() > 1 and part in n and "gate" not in n]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    adam = torch.optim.AdamW([{"params": [p for p in rest if p.dim() > 1], "weight_decay": 0.02}, {"params": [p for p in rest if p.dim() == 1], "weight_decay": 0.0}],
                             lr=a.lr, betas=(0.9, 0.97), eps=1e-9, fused=True)
    muon = Muon(hidden) if hidden else None
    step, seen, learned, start, spent = 0, 0, 0, time.time(), 0.0
    checkpoint = run / "checkpoint.pt"
    if a.init and not checkpoint.exists():
        saved = torch.load(a.init, weights_only=False)
        model.load_state_dict(saved["model"])
        step, seen, learned, spent = (saved[k] for k in ("step", "seen", "learned", "spent"))
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        if muon:
            muon.state = saved["muon"]
        step, seen, learned, start, spent = (saved[k] for k in ("step", "seen", "learned", "start", "spent"))
        print("resumed at step", step, flush=True)
    until = at(a.until)
    rng = random.Random(a.seed * 1_000_003 + step)  # resuming draws fresh data, never the same twice
    heldout = dialogues.heldout_set(seed=7, per_task=24)  # watched while training; not the published set
    mix = dict(dialogues.MIX)
    stream = batches(chat, rng, mix, a.batch)
    load = torch.zeros(a.layers, model.c.experts)
    window, last_eval, began = [], time.time(), time.time()

    def keep():
        save(checkpoint, {"config": model.c.to_dict(), "model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.state if muon else None, "step": step, "seen": seen, "learned": learned,
                          "start": start, "spent": spent + time.time() - began, "load": load})

    threads, first = Threads(a.threads), step
    while time.time() < until:
        began_step = time.time()
        progress = (time.time() - start) / (until - start)
        lr = a.lr * min(1.0, (step - first + 1) / 60) * max(0.0, min(1.0, (1 - progress) / 0.75))  # flat for a quarter, then linear to 0
        ids, learn, real_tokens = next(stream)
        stats = []
        h = model.hidden(ids, stats)[:, :-1][learn[:, 1:]]  # the head runs where an answer token comes next
        nll = F.cross_entropy(model.head(h), ids[:, 1:][learn[:, 1:]])
        balance, z = router_losses(stats, (ids != 0).reshape(-1))
        (nll + BALANCE * balance + ZLOSS * z).backward()
        torch.nn.utils.clip_grad_norm_(rest if muon else model.parameters(), 1.0)
        for g in adam.param_groups:
            g["lr"] = lr
        adam.step()
        if muon:
            muon.step(lr)
        model.zero_grad(set_to_none=True)
        threads.step(real_tokens / (time.time() - began_step))
        step, seen, learned = step + 1, seen + real_tokens, learned + len(h)
        for i, (_, _, counts) in enumerate(stats):
            load[i].mul_(0.99).add_(0.01 * counts / counts.sum())
        window.append((time.time(), real_tokens, nll.item()))
        window = window[-50:]
        if step % 20 == 0 or step in (2, 5, 10):
            speed = sum(t for _, t, _ in window[1:]) / max(1e-3, window[-1][0] - window[0][0])
            print(f"{datetime.datetime.now():%H:%M:%S} step {step} tokens {seen / 1e6:.2f}M lr {lr:.2e} nll {sum(x for *_, x in window[-20:]) / len(window[-20:]):.4f} balance {balance.item():.3f} {speed:.0f} tok/s, {torch.get_num_threads()} threads", flush=True)
        if time.time() - last_eval > a.every:
            model.eval()
            result = score(model, chat, heldout)
            model.train()
            print(f"{datetime.datetime.now():%H:%M:%S} EVAL step {step} " + " ".join(f"{k} {r / n:.0%}" for k, (r, n) in result.items()) + f" | load min {load.min() / load.sum(1).max():.3f} max {load.max() / load.sum(1).max():.3f}", flush=True)
            keep()
            if (run / "mix.json").exists():
                new = json.loads((run / "mix.json").read_text())
                if {**mix, **new} != mix:
                    mix.update(new)
                    print("mix", mix, flush=True)
            last_eval = time.time()
    keep()
    print("done", step, "steps", seen, "tokens", learned, "learned", f"{spent + time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
