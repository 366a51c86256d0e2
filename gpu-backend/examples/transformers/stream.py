"""Transformers with a chat template, the answer printed as it comes.

    pip install torch transformers accelerate
    python stream.py [MODEL] [--greedy] [--prompt TEXT]
"""

import argparse

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TextStreamer

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

# In one line on purpose: an engine that keeps the line break between two of them shifts every prompt by one token.
tokenizer.chat_template = (
    "{% for message in messages %}"
    "{{'<|beginofutterance|>' + message['role'] + '\n' + message['content']}}"
    "{% if (loop.last and add_generation_prompt) or not loop.last %}{{ '<|endofutterance|>' + '\n'}}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt and messages[-1]['role'] != '助手' %}{{ '<|beginofutterance|>助手\n' }}{% endif %}"
)

chat = [
    {"role": "系统", "content": "你是一个智能助手"},
    {"role": "用户", "content": arguments.prompt},
]
inputs = tokenizer.apply_chat_template(
    chat, tokenize=True, add_generation_prompt=True, return_tensors="pt", return_dict=True
)
# The template writes no <s>, which the model was trained to see first.
bos = torch.tensor([[tokenizer.bos_token_id]])
if inputs["input_ids"][0, 0] != tokenizer.bos_token_id:
    inputs["input_ids"] = torch.cat([bos, inputs["input_ids"]], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
inputs = inputs.to(model.device)

sampling = {"do_sample": False} if arguments.greedy else {"do_sample": True, "temperature": 0.8, "top_p": 0.9}
model.generate(
    **inputs,
    streamer=TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True),
    eos_token_id=tokenizer.convert_tokens_to_ids("<|endofutterance|>"),
    max_new_tokens=arguments.max_new_tokens,
    **sampling,
)
