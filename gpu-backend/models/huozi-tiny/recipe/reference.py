"""Reference logits and router choices from transformers, as the fixture parity.json.

    python reference.py HF_DIR heldout.jsonl huozi-tiny-q8_0.gguf parity.json

HF_DIR comes from to_hf.py, so these are the shipped weights in float32.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from transformers import MixtralForCausalLM

from chatml import ChatML
from tasks import POEMS

CONTINUE = 48


def user(text, *before, system=None):
    turns = [{"role": "system", "content": system}] if system else []
    for i, said in enumerate([*before, text]):
        turns.append({"role": "user" if i % 2 == 0 else "assistant", "content": said})
    return turns


def prompts(heldout):
    rows = [json.loads(line) for line in open(heldout)]
    yield "demo", user("背诵《静夜思》")
    yield "count", user("从1数到20")
    yield "english-greeting", user("Hello")
    yield "code", user("请你用python写一段快速排序的代码")
    yield "two-turns", user("我叫什么名字？", "你好，我叫李明。", "你好，李明！", system="你是一个智能助手")
    yield "english-two-turns", user("What is 7 times 8?", "What is the capital of France?", "The capital of France is Paris.")
    yield "persona", user("你是谁？", system="你叫小明。")
    yield "rare-characters", user("龘靐齉爩😀 ñ ß\t→\n\n  两个空格")
    yield "long", user("请概括下面的内容：" + "，".join(POEMS["unknown_lines"][:100]) + "。")
    for task in dict.fromkeys(r["task"] for r in rows):
        for i, row in enumerate([r for r in rows if r["task"] == task][:3]):
            if task != "greeting" or i < 2:
                yield f"{task}-{i}", row["messages"]


@torch.no_grad()
def trace(model, chat, ids):
    start, stops = len(ids), {2, chat.begin, chat.end}
    ids = list(ids)
    for _ in range(CONTINUE):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in stops:
            break
    out = model(torch.tensor([ids]), output_router_logits=True)
    logits = out.logits[0].double()
    logp = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    top = logits.topk(2, -1).values
    routers = [r.view(len(ids), -1).float() for r in out.router_logits]
    for i, r in enumerate(routers):  # transformers hands out logits or probabilities, by version; we want logits
        if bool((r.sum(-1) - 1).abs().max() < 1e-3):
            routers[i] = r.log()
    ranked = [r.topk(3, -1) for r in routers]
    return {
        "prompt": ids[:start],
        "continuation": ids[start:],
        "argmax": logits.argmax(-1).tolist(),
        "margin": [round(x, 4) for x in (top[:, 0] - top[:, 1]).tolist()],
        "logprob": [round(x, 6) for x in logp.tolist()],
        "nll": round(-float(logp.mean()), 6),
        "experts": [r.indices[:, :2].tolist() for r in ranked],
        "expert_gap": [[round(x, 4) for x in (r.values[:, 1] - r.values[:, 2]).tolist()] for r in ranked],
    }


def main(hf, heldout, gguf, out):
    torch.set_num_threads(1)
    chat = ChatML(hf)
    model = MixtralForCausalLM.from_pretrained(hf, dtype=torch.float32, attn_implementation="eager").eval()
    rows = [{"name": name, "messages": m, **trace(model, chat, chat.prompt(m))} for name, m in prompts(heldout)]
    positions = sum(len(r["argmax"]) for r in rows)
    weighted = sum(-sum(r["logprob"]) for r in rows) / sum(len(r["logprob"]) for r in rows)
    fixture = {
        "about": "transformers MixtralForCausalLM, float32, on the dequantised Q8_0 weights of the GGUF named here. argmax, margin (top1 - top2 logit), "
                 "experts[layer] (two, larger weight first) and expert_gap[layer] (2nd - 3rd router logit) are per position of prompt + continuation; "
                 "logprob[i] is that of token i + 1.",
        "gguf_sha256": hashlib.sha256(Path(gguf).read_bytes()).hexdigest(),
        "markers": {"begin": chat.begin, "end": chat.end},
        "positions": positions,
        "nll": round(weighted, 6),
        "prompts": rows,
    }
    body = json.dumps(fixture, ensure_ascii=False, separators=(",", ":")).replace('{"name"', '\n{"name"')
    Path(out).write_text(body + "\n")
    print(len(rows), "prompts,", positions, "positions, nll", fixture["nll"], len(body), "bytes")
    for r in rows:
        print(r["name"], "|", r["messages"][-1]["content"][:40].replace("\n", "\\n"), "|", chat.decode([i for i in r["continuation"] if i < chat.begin]))


if __name__ == "__main__":
    main(*sys.argv[1:])
