"""The model's own quick start: weights in Transformers, without a server.

    pip install torch transformers accelerate
    python quickstart.py [MODEL] [--greedy] [--prompt TEXT]

MODEL is a name on the Hugging Face hub or a folder; the 47 B parameters of the default want about 95 GB of GPU memory.
A prompt that comes from strangers does not belong into such a string: what they type could end their turn. The edge
never builds one.
"""

import argparse

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model", nargs="?", default="HIT-SCIR/huozi3.5")
parser.add_argument("--greedy", action="store_true", help="no sampling: the same answer every time")
parser.add_argument("--prompt", default="请你用python写一段快速排序的代码")
parser.add_argument("--max-new-tokens", type=int, default=2048)
arguments = parser.parse_args()

has_gpu = torch.cuda.is_available()
tokenizer = AutoTokenizer.from_pretrained(arguments.model)
model = AutoModelForCausalLM.from_pretrained(
    arguments.model,
    dtype=torch.bfloat16 if has_gpu else torch.float32,
    **({"device_map": "auto", "attn_implementation": "flash_attention_2"} if has_gpu else {}),
)

text = f"""<|beginofutterance|>系统
你是一个智能助手<|endofutterance|>
<|beginofutterance|>用户
{arguments.prompt}<|endofutterance|>
<|beginofutterance|>助手
"""

inputs = tokenizer(text, return_tensors="pt").to(model.device)
sampling = {"do_sample": False} if arguments.greedy else {"do_sample": True, "temperature": 0.8, "top_p": 0.9}
outputs = model.generate(
    **inputs,
    # Without it the model goes on and talks to itself.
    eos_token_id=tokenizer.convert_tokens_to_ids("<|endofutterance|>"),
    max_new_tokens=arguments.max_new_tokens,
    **sampling,
)
print(tokenizer.decode(outputs[0], skip_special_tokens=False))
