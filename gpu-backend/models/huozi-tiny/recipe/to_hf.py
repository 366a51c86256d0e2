"""huozi-tiny-q8_0.gguf -> a Hugging Face folder with the same (dequantised) weights in float32.

    python to_hf.py huozi-tiny-q8_0.gguf TOKENIZER_DIR OUT_DIR
"""

import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader, dequantize

from export import hf_config, write_folder

NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "ffn_gate_inp": "block_sparse_moe.gate"}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
EXPERTS = {"ffn_gate_exps": "w1", "ffn_down_exps": "w2", "ffn_up_exps": "w3"}


def unpermute(w, heads):
    """GGUF's llama layout interleaves the rotary halves of attn_q and attn_k; HF keeps them apart."""
    rows = w.shape[0]
    return w.reshape(heads, rows // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def read(path):
    reader = GGUFReader(path)
    field = lambda key: reader.fields[f"llama.{key}"].contents()
    c = {"vocab": field("vocab_size"), "dim": field("embedding_length"), "ffn": field("feed_forward_length"), "layers": field("block_count"),
         "heads": field("attention.head_count"), "kv_heads": field("attention.head_count_kv"), "experts": field("expert_count"), "top_k": field("expert_used_count"),
         "rope_theta": round(field("rope.freq_base"), 3), "eps": float(np.format_float_positional(np.float32(field("attention.layer_norm_rms_epsilon")))), "max_position": field("context_length")}
    tensors = {}
    for t in reader.tensors:
        w = torch.from_numpy(np.array(dequantize(t.data, t.tensor_type), dtype=np.float32))
        name = t.name.removesuffix(".weight")
        if name in TOP:
            tensors[f"{TOP[name]}.weight"] = w
            continue
        _, layer, rest = name.split(".")
        base = f"model.layers.{layer}."
        if rest in EXPERTS:
            for e, matrix in enumerate(w):
                tensors[f"{base}block_sparse_moe.experts.{e}.{EXPERTS[rest]}.weight"] = matrix.contiguous()
            continue
        if rest in ("attn_q", "attn_k"):
            w = unpermute(w, c["heads"] if rest == "attn_q" else c["kv_heads"])
        tensors[f"{base}{NAMES[rest]}.weight"] = w.contiguous()
    return tensors, c


if __name__ == "__main__":
    gguf, tokenizer, out = sys.argv[1:]
    tensors, c = read(gguf)
    write_folder(Path(out), tensors, hf_config(c), tokenizer)
    print(out, len(tensors), "tensors", sum(t.numel() for t in tensors.values()), "parameters")
