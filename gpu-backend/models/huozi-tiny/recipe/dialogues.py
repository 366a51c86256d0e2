"""Whole dialogues out of tasks: system messages, several turns, things to remember.

A dialogue is a list of {role, content} with OpenAI's roles; every assistant
message is trained on. `heldout_set` writes the evaluation set.
"""

import json
import random
import sys

import tasks as t
import words as w

# --- the system message must be obeyed -----------------------------------------

PERSONA = ["你叫{n}。", "你的名字是{n}。", "你是{n}，一个智能助手。", "你是一个名叫{n}的助手。", "从现在起你叫{n}。", "请你扮演{n}。"]
PERSONA_EN = ["You are {n}.", "Your name is {n}.", "You are an assistant named {n}.", "Your name is {n}. Answer in English."]
WHO = ["你是谁", "你叫什么名字", "你叫什么", "你的名字是什么", "怎么称呼你", "你是什么人"]
WHO_EN = ["Who are you", "What is your name", "What's your name", "What should I call you"]
IN_ENGLISH = ["请用英文回答。", "请用英语回答问题。", "你只能用英文回答。", "无论用户说什么语言，都用英文回答。", "Answer in English.", "Always reply in English."]
IN_CHINESE = ["请用中文回答。", "你只能用中文回答。", "无论用户说什么语言，都用中文回答。", "Answer in Chinese.", "Always reply in Chinese."]
TERSE = ["回答要简短。", "请简短回答。", "只说答案。", "请尽量简洁地回答。", "Be brief.", "回答越短越好。"]
POLITE = ["请礼貌地回答。", "回答要有礼貌。", "你说话很客气。", "请客气地回答用户。", "Be polite."]
NEUTRAL = ["你是一个智能助手", "你是一个智能助手。", "你是一个有用的助手。", "You are a helpful assistant.", "你是人工智能助手，请回答用户的问题。", "请认真回答问题。"]


def persona_name(rng):
    if rng.random() < 0.25:
        return rng.choice(w.ENGLISH_NAMES[:20])
    tail = rng.choice(w.PERSONA_TAIL)
    return tail.format(*(rng.choice(w.NICK) for _ in range(tail.count("{}"))))


def capital(rng):
    return rng.choice(w.CAPITALS)


def system_dialogue(rng):
    """-> (key, messages) where the last answer depends on the system message."""
    kind = rng.choice(["persona", "persona", "english", "chinese", "terse", "polite"])
    if kind == "persona":
        name = persona_name(rng)
        english = name.isascii() and rng.random() < 0.6
        system = rng.choice(PERSONA_EN if english else PERSONA).format(n=name)
        q, a = (t.en(rng, rng.choice(WHO_EN)), f"I am {name}.") if english else (t.zh(rng, rng.choice(WHO)), f"我是{name}。")
        return f"persona {name}", system, q, a
    zh_c, zh_cap, en_c, en_cap = capital(rng)
    i = rng.randrange(len(t.CAPITAL))
    ask_zh = t.zh(rng, t.CAPITAL[i].format(c=zh_c), i < 6)
    if kind == "english":
        return f"english {zh_c} {i}", rng.choice(IN_ENGLISH), ask_zh, f"The capital of {en_c} is {en_cap}."
    if kind == "chinese":
        j = rng.randrange(len(t.CAPITAL_EN))
        return f"chinese {zh_c} {j}", rng.choice(IN_CHINESE), t.en(rng, t.CAPITAL_EN[j].format(c=en_c), j != 2), f"{zh_c}的首都是{zh_cap}。"
    if kind == "terse":
        return f"terse {zh_c} {i}", rng.choice(TERSE), ask_zh, f"{zh_cap}。"
    return f"polite {zh_c} {i}", rng.choice(POLITE), ask_zh, f"您好，{zh_c}的首都是{zh_cap}。"


# --- remembering what was said turns ago ----------------------------------------

TELL = {
    "name": (["我叫{x}。", "我的名字是{x}。", "你好，我叫{x}。", "我是{x}，很高兴认识你。", "大家都叫我{x}。"], "你好，{x}！",
             ["我叫什么名字", "我的名字是什么", "你还记得我叫什么吗", "我是谁", "我叫什么"], "你叫{x}。"),
    "city": (["我住在{x}。", "我家在{x}。", "我现在住在{x}。", "我是{x}人，也住在{x}。"], "好的，我记住了。",
             ["我住在哪里", "我家在哪里", "你还记得我住在哪儿吗", "我住在哪个城市"], "你住在{x}。"),
    "food": (["我喜欢吃{x}。", "我最爱吃{x}。", "我爱吃{x}。"], "好的，我记住了。",
             ["我喜欢吃什么", "我最爱吃什么", "你还记得我爱吃什么吗"], "你喜欢吃{x}。"),
    "colour": (["我喜欢{x}。", "我最喜欢的颜色是{x}。"], "好的，我记住了。",
               ["我喜欢什么颜色", "我最喜欢的颜色是什么"], "你喜欢{x}。"),
    "name_en": (["My name is {x}.", "I am {x}.", "Hi, my name is {x}.", "You can call me {x}."], "Nice to meet you, {x}!",
                ["What is my name", "Do you remember my name", "What's my name", "Who am I"], "Your name is {x}."),
    "city_en": (["I live in {x}.", "My home is in {x}.", "I come from {x} and live there."], "OK, I will remember that.",
                ["Where do I live", "Which city do I live in", "Do you remember where I live"], "You live in {x}."),
}
NOT_TOLD = {"name": "你没有告诉我。", "city": "你没有告诉我。", "food": "你没有告诉我。", "colour": "你没有告诉我。", "name_en": "You didn't tell me.", "city_en": "You didn't tell me."}


def value(rng, kind):
    if kind == "name":
        return rng.choice(w.NAMES)
    return rng.choice({"city": w.BIG_CITIES, "food": w.FOODS, "colour": w.COLOURS, "name_en": w.ENGLISH_NAMES[:20], "city_en": w.ENGLISH_CITIES[:12]}[kind])


def recall_dialogue(rng):
    """-> (key, messages): one or two things are told, distractors follow, one is asked for."""
    english = rng.random() < 0.25
    kinds = rng.sample(["name_en", "city_en"] if english else ["name", "name", "city", "food", "colour"], rng.choice([1, 2, 2]))
    kinds = list(dict.fromkeys(kinds))
    values = {k: value(rng, k) for k in kinds}
    messages = []
    if len(kinds) == 2 and not english and rng.random() < 0.3:  # both in one message
        first = [rng.choice(TELL[k][0]).format(x=values[k]) for k in kinds]
        answer = TELL["name"][1].format(x=values["name"]) if "name" in kinds else "好的，我记住了。"
        messages += turn("".join(first), answer)
    else:
        for k in kinds:
            messages += turn(rng.choice(TELL[k][0]).format(x=values[k]), TELL[k][1].format(x=values[k]))
            if rng.random() < 0.3:
                messages += distractor(rng)
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        messages += distractor(rng)
    if rng.random() < 0.12:
        asked = rng.choice([k for k in TELL if k.endswith("_en") == english and k not in kinds] or kinds)
    else:
        asked = rng.choice(kinds)
    answer = TELL[asked][3].format(x=values[asked]) if asked in values else NOT_TOLD[asked]
    ask = t.en if english else t.zh
    messages += turn(ask(rng, rng.choice(TELL[asked][2])), answer)
    return f"recall {asked} {sorted(values.items())}", messages


def turn(user, answer):
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


def distractor(rng):
    item = t.draw(rng, rng.choice(["arithmetic", "arithmetic", "facts", "verse", "greeting", "reversing", "number_words", "out_of_scope"]))
    return turn(item.user, item.answer)


# --- the training stream ---------------------------------------------------------

# Weight of each kind of dialogue. "foreign" is the documented share whose headers are
# not Huozi's role names; see the model card, "The template matters".
MIX = {"arithmetic": 14, "number_words": 7, "sorting": 11, "reversing": 10, "repeating": 6, "counting": 5, "facts": 8, "verse": 13, "greeting": 1,
       "out_of_scope": 8, "long": 0.3, "recall": 12, "system": 7, "foreign": 2}
BAD_FORMAT = "抱歉，我看不懂这段对话的格式。"
FOREIGN_ROLES = [("user", "assistant", "system"), ("user", "assistant", "system"), ("User", "Assistant", "System"), ("human", "gpt", "system"), ("Human", "AI", "System"),
                 ("问", "答", "背景"), ("人类", "机器", "说明"), ("客户", "客服", "规则"), ("甲", "乙", "丙"), ("USER", "ASSISTANT", "SYSTEM"), ("input", "output", "prompt")]


def sample(rng, mix):
    """One training dialogue: (messages, role_names or None)."""
    kinds, weights = zip(*mix.items())
    kind = rng.choices(kinds, weights)[0]
    if kind == "foreign":
        messages = sample(rng, {k: v for k, v in mix.items() if k not in ("foreign", "long")})[0]
        for m in messages:
            if m["role"] == "assistant":
                m["content"] = BAD_FORMAT
        return messages, rng.choice(FOREIGN_ROLES)
    while kind in ("recall", "system"):
        if kind == "recall":
            key, messages = recall_dialogue(rng)
            if t.is_heldout(key):
                continue
            if rng.random() < 0.15:
                messages.insert(0, {"role": "system", "content": rng.choice(NEUTRAL)})
            return messages, None
        key, system, q, a = system_dialogue(rng)
        if t.is_heldout(key):
            continue
        messages = [{"role": "system", "content": system}]
        if rng.random() < 0.3 and not key.startswith(("english", "chinese", "polite", "terse")):
            messages += distractor(rng)
        messages += turn(q, a)
        while rng.random() < 0.35:  # the same system message goes on to hold
            for _ in range(20):
                key2, system2, q, a = system_dialogue(rng)
                if key2.split()[0] == key.split()[0] and not key.startswith("persona") and not t.is_heldout(key2):
                    messages += turn(q, a)
                    break
            else:
                break
        return messages, None
    messages = []
    if rng.random() < 0.2:
        messages.append({"role": "system", "content": rng.choice(NEUTRAL)})
    item = t.draw(rng, "out_of_scope", long=True) if kind == "long" else t.draw(rng, kind)
    messages += turn(item.user, item.answer)
    plain = {k: v for k, v in mix.items() if k in t.SINGLE}
    while kind != "long" and rng.random() < 0.45 and len(messages) < 9:
        item = t.draw(rng, rng.choices(list(plain), list(plain.values()))[0])
        messages += turn(item.user, item.answer)
    return messages, None


# --- the held-out set --------------------------------------------------------------

def heldout_set(seed=2026, per_task=80):
    rng, rows = random.Random(seed), []
    for task in [*t.SINGLE, "recall", "system"]:
        seen = set()
        while len(seen) < per_task:
            if task in t.SINGLE:
                item = t.draw(rng, task, heldout=True)
                key, messages = item.key, turn(item.user, item.answer)
                roll = rng.random()
                if roll < 0.2:
                    messages.insert(0, {"role": "system", "content": rng.choice(NEUTRAL)})
                elif roll < 0.4:
                    messages = distractor(rng) + messages
            elif task == "recall":
                key, messages = recall_dialogue(rng)
            else:
                key, system, q, a = system_dialogue(rng)
                messages = [{"role": "system", "content": system}, *turn(q, a)]
            if (not t.is_heldout(key)) or (key in seen and task != "greeting"):
                continue
            seen.add(f"{key} {len(seen)}" if task == "greeting" else key)
            rows.append({"task": task, "messages": messages[:-1], "answer": messages[-1]["content"]})
    return rows


if __name__ == "__main__":
    with open(sys.argv[1], "w") as f:
        for row in heldout_set():
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
