"""Checkpoint -> Hugging Face folder -> GGUF (Q8_0).

    python export.py CHECKPOINT TOKENIZER_DIR LLAMA_CPP_DIR OUT.gguf

The shipped, official weights are the Q8_0 ones: the reference logits are computed
from these same rounded weights (to_hf.py), so the repository needs one file only.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

NAMES = {"attn.q": "self_attn.q_proj", "attn.k": "self_attn.k_proj", "attn.v": "self_attn.v_proj", "attn.o": "self_attn.o_proj",
         "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "moe.gate": "block_sparse_moe.gate"}
TOKENIZER_FILES = ["tokenizer.model", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json"]


def hf_tensors(state):
    out = {"model.embed_tokens.weight": state["embed.weight"], "model.norm.weight": state["norm.weight"], "lm_head.weight": state["head.weight"]}
    for name, value in state.items():
        if not name.startswith("blocks."):
            continue
        _, layer, rest = name.split(".", 2)
        base = f"model.layers.{layer}."
        if rest in ("moe.w1", "moe.w2", "moe.w3"):
            for e, matrix in enumerate(value):
                out[f"{base}block_sparse_moe.experts.{e}.{rest[4:]}.weight"] = matrix
        else:
            out[f"{base}{NAMES[rest.removesuffix('.weight')]}.weight"] = value
    return {k: v.float().contiguous().clone() for k, v in out.items()}


def hf_config(c):
    return {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "vocab_size": c["vocab"], "hidden_size": c["dim"],
            "intermediate_size": c["ffn"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"], "num_key_value_heads": c["kv_heads"],
            "head_dim": c["dim"] // c["heads"], "num_local_experts": c["experts"], "num_experts_per_tok": c["top_k"], "rope_theta": c["rope_theta"],
            "rms_norm_eps": c["eps"], "max_position_embeddings": c["max_position"], "hidden_act": "silu", "tie_word_embeddings": False,
            "sliding_window": None, "router_aux_loss_coef": 0.01, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}


def write_folder(folder, tensors, config, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in TOKENIZER_FILES:
        shutil.copy(Path(tokenizer) / name, folder / name)


def main(checkpoint, tokenizer, llama_cpp, out):
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp) / "huozi-tiny"
        write_folder(folder, hf_tensors(saved["model"]), hf_config(saved["config"]), tokenizer)
        new = str(out) + ".tmp"
        subprocess.run([sys.executable, str(Path(llama_cpp) / "convert_hf_to_gguf.py"), str(folder), "--outtype", "q8_0", "--outfile", new,
                        "--model-name", "huozi-tiny"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        os.replace(new, out)
    print(out, os.path.getsize(out), "bytes, step", saved["step"])


if __name__ == "__main__":
    main(*sys.argv[1:])
