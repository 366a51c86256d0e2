"""HIT-SCIR/huozi example/openai-api/openai-client.py: only the address and the key are others.

HUOZI_API_KEY=hz_… python openai-client.py 背诵《静夜思》
"""
import os
import sys

from openai import OpenAI

client = OpenAI(
    api_key=os.environ["HUOZI_API_KEY"],
    base_url=os.environ.get("HUOZI_BASE_URL", "http://127.0.0.1:8787/v1"),
)

chat_response = client.chat.completions.create(
    model="huozi",
    messages=[
        {"role": "系统", "content": "你是一个智能助手"},
        {"role": "用户", "content": sys.argv[1] if len(sys.argv) > 1 else "请你用python写一段快速排序的代码"},
    ],
    temperature=0,
    extra_body={"stop_token_ids": [57001]},
)
print("Chat response:", chat_response.choices[0].message.content)
