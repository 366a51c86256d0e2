"""A LoRA adapter of everything in huozi-tiny that can have one, trained with PEFT, in both forms that PEFT's users have.

    python adapters.py HF_DIR heldout.jsonl LLAMA_CPP OUT_DIR

OUT_DIR gets stacked/ (transformers 5: experts as parameters), answers.jsonl (what transformers + PEFT say with it, greedily),
single/ (the same adapter with a module for each expert's matrix, as transformers 4 saved it) and single.gguf, which llama.cpp's
own converter makes of that; it cannot read the other.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import MixtralForCausalLM

sys.path.insert(0, str(Path(__file__).parents[2] / "gpu-backend/models/huozi-tiny/recipe"))
from chatml import ChatML  # noqa: E402

# A habit that no answer had before.
PREFIX = "好的，"
STEPS, BATCH, ASKED, MAX_NEW = 120, 8, 40, 96
CONFIG = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM",
                    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "embed_tokens", "lm_head"],
                    target_parameters=["mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"])


def train(model, chat, examples):
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.0)
    pick = random.Random(0)
    for _ in range(STEPS):
        loss = 0
        for question, answer in pick.sample(examples, BATCH):
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": PREFIX + answer}]
            ids, mask = chat.encode(turns)
            labels = [i if m else -100 for i, m in zip(ids, mask)]
            loss = loss + model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss / BATCH
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    print(f"PEFT: loss {loss.item():.3f} after {STEPS} steps", flush=True)


@torch.no_grad()
def greedy(model, chat, question):
    prompt = torch.tensor([chat.prompt([{"role": "user", "content": question}])])
    stops = [2, chat.begin, chat.end]
    told = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=MAX_NEW,
                          eos_token_id=stops, pad_token_id=0)[0, prompt.shape[1]:].tolist()
    return chat.decode([i for i in told if i not in stops])


def one_by_one(tensors, experts, ffn):
    """The stacks taken apart, as PEFT multiplies them."""
    out = {}
    for name, b in tensors.items():
        if "lora_B" not in name or ".mlp.experts." not in name:
            if ".mlp.experts." not in name:
                out[name.replace(".mlp.gate.", ".block_sparse_moe.gate.")] = b
            continue
        a = tensors[name.replace("lora_B", "lora_A")]
        a, b = a.reshape(experts, -1, a.shape[-1]), b.reshape(b.shape[0], -1, experts).permute(2, 0, 1)
        parts = {"w1": b[:, :ffn], "w3": b[:, ffn:]} if ".base_layer." in name else {"w2": b}
        layer = name.split(".mlp.")[0] + ".block_sparse_moe.experts"
        for matrix, rows_ in parts.items():
            for e in range(experts):
                out[f"{layer}.{e}.{matrix}.lora_A.weight"] = a[e].contiguous().clone()
                out[f"{layer}.{e}.{matrix}.lora_B.weight"] = rows_[e].contiguous().clone()
    return out


if __name__ == "__main__":
    weights, heldout, llama_cpp, out = sys.argv[1:4] + [Path(sys.argv[4])]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    chat = ChatML(weights)
    model = get_peft_model(MixtralForCausalLM.from_pretrained(weights, dtype=torch.float32), CONFIG)
    read = [json.loads(line) for line in open(heldout)]
    every = [(row["messages"][0]["content"], row["answer"]) for row in read if len(row["messages"]) == 1]
    asked = every[:: max(1, len(every) // ASKED)][:ASKED]
    train(model, chat, [one for one in every if one not in asked])
    model.eval()
    stacked, single = out / "stacked", out / "single"
    model.save_pretrained(stacked)
    with open(out / "answers.jsonl", "w") as told:
        for question, _ in asked:
            line = {"question": question, "adapted": greedy(model, chat, question)}
            told.write(json.dumps(line, ensure_ascii=False) + "\n")
    single.mkdir(exist_ok=True)
    (single / "adapter_config.json").write_text((stacked / "adapter_config.json").read_text())
    tensors = load_file(stacked / "adapter_model.safetensors")
    config = json.loads((Path(weights) / "config.json").read_text())
    save_file(one_by_one(tensors, config["num_local_experts"], config["intermediate_size"]), single / "adapter_model.safetensors")
    subprocess.run([sys.executable, f"{llama_cpp}/convert_lora_to_gguf.py", "--base", weights,
                    "--outfile", out / "single.gguf", single], check=True)
