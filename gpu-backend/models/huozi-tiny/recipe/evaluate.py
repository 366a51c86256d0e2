"""Greedy exact match per task with the training model.

    python evaluate.py CHECKPOINT_OR_GGUF TOKENIZER_DIR heldout.jsonl [per_task] [--foreign]

--foreign breaks the template on purpose: role names in English.
"""

import json
import sys
from collections import defaultdict

import torch

from chatml import ChatML
from model import Config, Model

FOREIGN = ("user", "assistant", "system")


@torch.no_grad()
def generate(model, prompts, stops, max_new=96):
    """Greedy continuation of a batch of prompts (left-padded, cached)."""
    n, width = len(prompts), max(map(len, prompts))
    pad = torch.tensor([width - len(p) for p in prompts])
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    column = torch.arange(width)
    mask = (column[None, :] <= column[:, None])[None] & (column >= pad[:, None])[:, None]
    mask = mask | torch.eye(width, dtype=torch.bool)  # a pad row must see something
    positions = (column - pad[:, None]).clamp(min=0)
    caches = [{"mask": mask[:, None]} for _ in range(model.c.layers)]
    h = model.hidden(ids, caches=caches, positions=positions)[:, -1]
    out, alive = [[] for _ in prompts], [True] * n
    for step in range(max_new):
        nxt = model.head(h).argmax(-1)
        for i, token in enumerate(nxt.tolist()):
            if alive[i]:
                if token in stops:
                    alive[i] = False
                else:
                    out[i].append(token)
        if not any(alive):
            break
        seen = (torch.arange(width + step + 1) >= pad[:, None])[:, None, None]
        for cache in caches:
            cache["mask"] = seen
        h = model.hidden(nxt[:, None], caches=caches, positions=(width - pad + step)[:, None])[:, -1]
    return out


def score(model, chat, rows, roles=None, failures=None):
    """-> {task: (right, total)}"""
    result = defaultdict(lambda: [0, 0])
    rows = sorted(rows, key=lambda r: len(str(r["messages"])))
    stops = {2, chat.begin, chat.end}
    for i in range(0, len(rows), 64):
        batch = rows[i : i + 64]
        answers = generate(model, [chat.prompt(r["messages"], roles) for r in batch], stops)
        for row, ids in zip(batch, answers):
            text = chat.decode(ids)
            result[row["task"]][0] += text == row["answer"]
            result[row["task"]][1] += 1
            if failures is not None and text != row["answer"]:
                failures.append((row["task"], row["messages"][-1]["content"], row["answer"], text))
    return dict(result)


def load_gguf(path):
    """The shipped (dequantised) weights in the training model."""
    from export import NAMES
    from to_hf import read

    tensors, c = read(path)
    state = {"embed.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"], "head.weight": tensors["lm_head.weight"]}
    for layer in range(c["layers"]):
        base = f"model.layers.{layer}."
        for ours, theirs in NAMES.items():
            state[f"blocks.{layer}.{ours}.weight"] = tensors[f"{base}{theirs}.weight"]
        for w in ("w1", "w2", "w3"):
            state[f"blocks.{layer}.moe.{w}"] = torch.stack([tensors[f"{base}block_sparse_moe.experts.{e}.{w}.weight"] for e in range(c["experts"])])
    model = Model(Config(**c))
    model.load_state_dict(state)
    return model.eval(), {"step": "shipped"}


def load(path):
    if path.endswith(".gguf"):
        return load_gguf(path)
    saved = torch.load(path, map_location="cpu", weights_only=False)
    model = Model(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model.eval(), saved


if __name__ == "__main__":
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    model, saved = load(args[0])
    chat = ChatML(args[1])
    rows = [json.loads(line) for line in open(args[2])]
    if len(args) > 3:
        kept = defaultdict(list)
        for r in rows:
            kept[r["task"]].append(r)
        rows = [r for rs in kept.values() for r in rs[: int(args[3])]]
    failures = []
    result = score(model, chat, rows, FOREIGN if "--foreign" in sys.argv else None, failures)
    for f in failures[:60] if "--foreign" not in sys.argv else failures[:3]:
        print(*f, sep=" | ")
    for task, (right, total) in result.items():
        print(f"{task:14} {right}/{total} = {right / total:.1%}")
    print("step", saved["step"], "all", f"{sum(r for r, _ in result.values()) / sum(t for _, t in result.values()):.1%}")
