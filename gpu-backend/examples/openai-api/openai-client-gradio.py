"""HIT-SCIR/huozi example/openai-api/openai-client-gradio.py, for an edge and for Gradio 6, whose history is of messages.

HUOZI_API_KEY=hz_… python openai-client-gradio.py
"""
import os

import gradio as gr
from openai import OpenAI

client = OpenAI(
    api_key=os.environ["HUOZI_API_KEY"],
    base_url=os.environ.get("HUOZI_BASE_URL", "http://127.0.0.1:8787/v1"),
)

roles = {"user": "用户", "assistant": "助手"}


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")


def predict(message, history):
    messages = [{"role": "系统", "content": "你是一个智能助手"}]
    for turn in history:
        messages.append({"role": roles[turn["role"]], "content": text_of(turn["content"])})
    messages.append({"role": "用户", "content": message})

    models = client.models.list()
    stream = client.chat.completions.create(
        model=models.data[0].id,
        messages=messages,
        temperature=0.8,
        stream=True,
        extra_body={"repetition_penalty": 1, "stop_token_ids": [57001]},
    )
    partial_message = ""
    for chunk in stream:
        partial_message += chunk.choices[0].delta.content or ""
        yield partial_message


gr.ChatInterface(predict).queue().launch()
