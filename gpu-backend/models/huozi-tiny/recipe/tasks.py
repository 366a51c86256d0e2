"""The tasks: every function returns one question with its one right answer.

An instance has a canonical `key` that does not depend on its wording (for facts
and verse, which are finite, it is fact x wording). The key's hash decides the
split, so held-out instances cannot be trained on by construction.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import words as w

POEMS = json.loads((Path(__file__).parent / "poems.json").read_text())
UNKNOWN = "抱歉，我不会。"
UNKNOWN_EN = "Sorry, I can't do that."


@dataclass
class Item:
    task: str
    key: str | None
    user: str
    answer: str


def is_heldout(key):
    """A key of None means: a fixed sentence, which has no unseen variants to hold out."""
    return key is not None and hashlib.sha1(key.encode()).digest()[0] < 26  # about 10 %


def zh(rng, text, question=True):
    """The politeness and the punctuation that people vary without thinking."""
    head = rng.choice(["", "", "", "请问", "请问，", "麻烦问一下，"] if question else ["", "", "请", "请你", "麻烦你", "帮我"])
    tail = rng.choice(["？", "？", "？", "?", ""] if question else ["。", "。", "", "", "！"])
    return head + text + tail


def en(rng, text, question=True):
    if not question:
        text = rng.choice(["", "", "Please ", "please ", "Could you "]) + text[0].lower() + text[1:]
        if rng.random() < 0.7:
            text = text[0].upper() + text[1:]
    return text + rng.choice(["?", "?", ""] if question else [".", ".", ""])


# --- arithmetic: 二十以内加减法, 九九乘法 ---------------------------------------

ADD = ["{a}+{b}等于多少", "{a} + {b} = ", "{a}加{b}等于几", "{a}加{b}是多少", "计算{a}+{b}", "{a}+{b}=", "{a}与{b}的和是多少", "{a}+{b}的结果是多少", "{a}加上{b}得多少",
       "What is {a}+{b}", "What is {a} plus {b}", "{a} plus {b} equals what", "Calculate {a} + {b}", "How much is {a} + {b}"]
SUB = ["{a}-{b}等于多少", "{a} - {b} = ", "{a}减{b}等于几", "{a}减{b}是多少", "计算{a}-{b}", "{a}-{b}=", "{a}与{b}的差是多少", "{a}-{b}的结果是多少", "{a}减去{b}得多少",
       "What is {a}-{b}", "What is {a} minus {b}", "{a} minus {b} equals what", "Calculate {a} - {b}", "How much is {a} - {b}"]
MUL = ["{a}×{b}等于多少", "{a}*{b}=", "{a}乘{b}等于几", "{a}乘以{b}是多少", "计算{a}×{b}", "{a}×{b}=", "{a}与{b}的积是多少", "{a}*{b}的结果是多少", "{a}乘以{b}得多少",
       "What is {a}*{b}", "What is {a} times {b}", "{a} times {b} equals what", "Calculate {a} × {b}", "How much is {a} * {b}"]


def dress(rng, text):
    if text.rstrip().endswith("="):
        return text.rstrip() + rng.choice(["", "?", "？"])
    if text.isascii() or text[0] in "WHC":
        return en(rng, text)
    return zh(rng, text, not text.startswith("计算"))


def arithmetic(rng):
    """A finite table, so what is held out is fact x wording."""
    op = rng.choice("++--*")
    texts = {"+": ADD, "-": SUB, "*": MUL}[op]
    t = rng.randrange(len(texts))
    if op == "*":
        a, b = rng.randint(1, 9), rng.randint(1, 9)
        answer = a * b
    else:
        a = rng.randint(0, 20)
        b = rng.randint(0, 20 - a if op == "+" else a)
        answer = a + b if op == "+" else a - b
    return Item("arithmetic", f"{a}{op}{b}|{t}", dress(rng, texts[t].format(a=a, b=b)), str(answer))


# --- number words, 0 to 9999 ---------------------------------------------------

DIGITS = "零一二三四五六七八九"


def number_word(n):
    if n == 0:
        return "零"
    out, zero = "", False
    for unit, power in (("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        d = n // power % 10
        if d:
            out += ("零" if zero and out else "") + DIGITS[d] + unit
            zero = False
        else:
            zero = True
    return out[1:] if out.startswith("一十") else out


TO_WORD = ["把{n}写成汉字", "把数字{n}写成中文", "{n}用汉字怎么写", "{n}的中文读法是什么", "用汉字写出{n}", "将{n}转换成汉字", "数字{n}怎么读", "{n}用中文怎么说",
           "Write {n} in Chinese", "How do you write {n} in Chinese characters"]
TO_DIGITS = ["把{n}写成数字", "把{n}写成阿拉伯数字", "{n}用数字怎么写", "{n}是多少", "用数字写出{n}", "将{n}转换成数字", "{n}用阿拉伯数字怎么写",
             "Write {n} in digits", "What number is {n}"]


def number_words(rng):
    n = rng.randint(1, 10 ** rng.choice([2, 3, 3, 4, 4, 4]) - 1)
    to_word = rng.random() < 0.5
    text = rng.choice(TO_WORD if to_word else TO_DIGITS)
    answer = number_word(n) if to_word else str(n)
    user = text.format(n=n if to_word else number_word(n))
    user = en(rng, user, user[0] != "W" or user.startswith("What")) if text.split("{")[0].isascii() and text[0] in "WH" else zh(rng, user, text[0] not in "把用将")
    return Item("number_words", f"{n}{'w' if to_word else 'd'}", user, answer)


# --- sorting and reversing -----------------------------------------------------

UP = ["把{s}从小到大排序", "把{s}从小到大排列", "将{s}按升序排列", "从小到大排列：{s}", "给{s}从小到大排个序", "{s}，从小到大怎么排", "Sort {s} in ascending order", "Sort from small to large: {s}"]
DOWN = ["把{s}从大到小排序", "把{s}从大到小排列", "将{s}按降序排列", "从大到小排列：{s}", "给{s}从大到小排个序", "{s}，从大到小怎么排", "Sort {s} in descending order", "Sort from large to small: {s}"]


def sorting(rng):
    numbers = rng.sample(range(10), rng.choice([3, 3, 4, 4, 5]))
    down = rng.random() < 0.5
    text = rng.choice(DOWN if down else UP)
    english = text.startswith("Sort")
    sep = ", " if english else rng.choice(["、", "、", "，", ", ", " ", ","])
    user = text.format(s=sep.join(map(str, numbers)))
    answer = (", " if english else "、").join(map(str, sorted(numbers, reverse=down)))
    key = ",".join(map(str, numbers)) + "ud"[down]
    return Item("sorting", key, en(rng, user, False) if english else zh(rng, user, text.startswith("{")), answer)


REVERSE = ["把{s}倒过来写", "把“{s}”反过来写", "倒着写{s}", "将{s}倒序输出", "把{s}倒过来", "“{s}”倒过来是什么", "{s}反过来怎么写", "倒着念“{s}”"]
REVERSE_EN = ["Reverse {s}", "Write {s} backwards", "Reverse the string {s}", "What is {s} backwards"]
SIMPLE = "天地人山水火木金土日月风云雨雪花草树鸟鱼马牛羊春夏秋冬东西南北大小上下左右红黄蓝绿"
COMMON = "天地人山水火木金土日月风云雨雪花草树鸟鱼虫马牛羊春夏秋冬东西南北大小多少上下左右前后红黄蓝绿白黑高低长短手足口耳目心父母兄弟姐妹书笔纸墨琴棋画门窗桌车船米茶酒"


def reversing(rng):
    if rng.random() < 0.5:
        s = "".join(rng.choice("0123456789") for _ in range(rng.randint(3, 5)))
    else:
        s = "".join(rng.sample(SIMPLE, rng.randint(2, 4)))
    if s.isascii() and rng.random() < 0.3:
        text = rng.choice(REVERSE_EN)
        return Item("reversing", s, en(rng, text.format(s=s), text.startswith("What")), s[::-1])
    text = rng.choice(REVERSE)
    return Item("reversing", s, zh(rng, text.format(s=s), text[0] in "“{"), s[::-1])


# --- repeating: the plainest use of attention, and what teaches the other tasks to copy ---

REPEAT = ["重复：{s}", "重复“{s}”", "跟我说：{s}", "跟我念“{s}”", "把“{s}”再说一遍", "再说一遍{s}", "复述：{s}", "跟着我读：{s}"]
REPEAT_EN = ["Repeat after me: {s}", "Repeat: {s}", "Say this again: {s}", "Repeat this: {s}"]


def repeating(rng):
    if rng.random() < 0.5:
        s = "".join(rng.choice("0123456789") for _ in range(rng.randint(3, 6)))
    else:
        s = "".join(rng.sample(SIMPLE, rng.randint(2, 5)))
    if s.isascii() and rng.random() < 0.3:
        return Item("repeating", s, en(rng, rng.choice(REPEAT_EN).format(s=s), False).rstrip("."), s)
    return Item("repeating", s, rng.choice(["", "", "请", "请你"]) + rng.choice(REPEAT).format(s=s), s)


# --- counting: the long answers ------------------------------------------------

COUNT = ["从{a}数到{b}", "从 {a} 数到 {b}", "从{a}开始数到{b}", "数一数，从{a}到{b}", "写出从{a}到{b}的数字", "按顺序写出{a}到{b}"]
COUNT_EN = ["Count from {a} to {b}", "Write the numbers from {a} to {b}"]


def counting(rng):
    style = rng.random()
    a = 1 if rng.random() < 0.7 else rng.randint(2, 10)
    b = a + rng.randint(2, 9 if a > 1 else 29)
    sep = "、"
    if style < 0.15:  # backwards
        a, b = rng.randint(3, 20), 1
        numbers = [str(n) for n in range(a, 0, -1)]
        t, texts = rng.randrange(3), ["从{a}倒数到{b}", "从 {a} 倒数到 {b}", "倒着从{a}数到{b}"]
    elif style < 0.3:
        b = min(b, a + 19)
        numbers, sep = [str(n) for n in range(a, b + 1)], ", "
        t, texts = rng.randrange(2), COUNT_EN
    elif style < 0.4:
        b = min(b, a + 14)
        numbers = [number_word(n) for n in range(a, b + 1)]
        t, texts = rng.randrange(3), ["用汉字" + text for text in COUNT[:3]]
        a, b = numbers[0], numbers[-1]
    else:
        numbers = [str(n) for n in range(a, b + 1)]
        t, texts = rng.randrange(len(COUNT)), COUNT
    user = texts[t].format(a=a, b=b)
    return Item("counting", f"{a}..{b}{sep}{t}", en(rng, user, False) if sep == ", " else zh(rng, user, False), sep.join(numbers))


# --- facts ---------------------------------------------------------------------

CAPITAL = ["{c}的首都是哪里", "{c}的首都是哪个城市", "{c}首都在哪里", "{c}首都叫什么", "哪个城市是{c}的首都", "{c}的首都叫什么名字", "你知道{c}的首都吗", "告诉我{c}的首都"]
CAPITAL_EN = ["What is the capital of {c}", "Which city is the capital of {c}", "Tell me the capital of {c}", "What's the capital city of {c}", "Do you know the capital of {c}"]
PROVINCE = ["{c}省的省会是哪里", "{c}的省会是哪个城市", "{c}省会在哪里", "哪个城市是{c}的省会", "{c}省的省会叫什么"]
OPPOSITE = ["“{a}”的反义词是什么", "{a}的反义词是什么", "{a}的反义词是哪个字", "和{a}意思相反的字是什么", "“{a}”的反义词"]
OPPOSITE_EN = ["What is the opposite of {a}", "Give me the opposite of {a}", "What's the opposite of '{a}'", "Which word is the opposite of {a}"]


def facts(rng, kind=None):
    kind = kind or rng.choice(["capital"] * 5 + ["capital_en"] * 4 + ["province"] * 2 + ["opposite"] * 3 + ["opposite_en"] + ["short"] * 4)
    if kind in ("capital", "capital_en"):
        zh_c, zh_cap, en_c, en_cap = rng.choice(w.CAPITALS)
        if kind == "capital":
            t = rng.randrange(len(CAPITAL))
            return Item("facts", f"{zh_c}|{t}", zh(rng, CAPITAL[t].format(c=zh_c), t < 6), f"{zh_c}的首都是{zh_cap}。")
        t = rng.randrange(len(CAPITAL_EN))
        return Item("facts", f"{en_c}|{t}", en(rng, CAPITAL_EN[t].format(c=en_c), t != 2), f"The capital of {en_c} is {en_cap}.")
    if kind == "province":
        c, cap = rng.choice(w.PROVINCES)
        t = rng.randrange(len(PROVINCE))
        return Item("facts", f"{c}|{t}", zh(rng, PROVINCE[t].format(c=c)), f"{c}的省会是{cap}。")
    if kind in ("opposite", "opposite_en"):
        pair = rng.choice(w.OPPOSITES if kind == "opposite" else w.ENGLISH_OPPOSITES)
        a, b = pair if rng.random() < 0.5 else pair[::-1]
        texts = OPPOSITE if kind == "opposite" else OPPOSITE_EN
        t = rng.randrange(len(texts))
        user = texts[t].format(a=a)
        return Item("facts", f"{a}|{t}", zh(rng, user) if kind == "opposite" else en(rng, user, t != 1), b)
    questions, answer = rng.choice(w.SHORT_FACTS)
    t = rng.randrange(len(questions))
    return Item("facts", questions[t], zh(rng, questions[t]), answer + "。")


# --- classical verse -----------------------------------------------------------

NEXT = ["“{s}”的下一句是什么", "{s}的下一句是什么", "{s}，下一句是什么", "“{s}”下一句", "请接下一句：{s}", "续写：{s}", "“{s}”的后一句是什么", "{s}，后面一句是什么"]
TITLE = ["“{s}”出自哪首诗", "{s}出自哪首诗", "“{s}”是哪首诗里的", "{s}是哪首诗中的句子", "哪首诗里有“{s}”"]
LINE_AUTHOR = ["“{s}”是谁写的", "{s}的作者是谁", "谁写了“{s}”", "{s}，这句诗是谁写的"]
TITLE_AUTHOR = ["《{p}》的作者是谁", "《{p}》是谁写的", "谁写了《{p}》", "《{p}》的诗人是谁", "《{p}》这首诗的作者是谁"]
RECITE = ["背诵《{p}》", "背一下《{p}》", "背诵古诗《{p}》", "朗诵《{p}》", "背一首《{p}》", "写出《{p}》全文", "《{p}》的全文是什么", "默写《{p}》"]


def whole(poem):
    a, b, c, d = poem["lines"]
    return f"{a}，{b}。{c}，{d}。"


def verse(rng):
    kind = rng.choice(["next"] * 7 + ["recite"] * 6 + ["title"] * 2 + ["line_author"] * 2 + ["title_author"] * 2)
    poem = rng.choice(POEMS["poems"])
    i = rng.randrange(4)
    line = poem["lines"][i]
    if kind == "next":
        t, i = rng.randrange(len(NEXT)), i % 3
        line = poem["lines"][i]
        return Item("verse", f"{line}|n{t}", zh(rng, NEXT[t].format(s=line), not NEXT[t][0] in "请续"), poem["lines"][i + 1] + "。")
    if kind == "recite":
        t = rng.randrange(len(RECITE))
        return Item("verse", f"{poem['lines'][0]}|r{t}", zh(rng, RECITE[t].format(p=poem["title"]), t == 6), whole(poem))
    if kind == "title":
        t = rng.randrange(len(TITLE))
        return Item("verse", f"{line}|t{t}", zh(rng, TITLE[t].format(s=line)), f"《{poem['title']}》。")
    texts = LINE_AUTHOR if kind == "line_author" else TITLE_AUTHOR
    t = rng.randrange(len(texts))
    subject = line if kind == "line_author" else poem["title"]
    return Item("verse", f"{subject}|a{t}", zh(rng, texts[t].format(s=line, p=poem["title"])), poem["author"] + "。")


# --- greetings -----------------------------------------------------------------

SELF = "我是活字，一个很小的语言模型。"
SELF_EN = "I am Huozi, a very small language model."
CAN = "我会算术、数数、排序、认数字，还会背古诗。"
CAN_EN = "I can do small sums, count, sort numbers and recite Chinese poems."
GREETINGS = [
    (["你好", "您好", "你好呀", "嗨", "哈喽", "早上好", "下午好", "晚上好", "你好，活字", "在吗"], "你好！我是活字，很高兴见到你。"),
    (["你是谁", "你叫什么名字", "介绍一下你自己", "你是什么", "请做个自我介绍", "你的名字是什么", "你是哪个模型"], SELF),
    (["你会做什么", "你能做什么", "你会什么", "你有什么本领", "你可以帮我做什么", "你有哪些功能"], CAN),
    (["谢谢", "谢谢你", "多谢", "太感谢了", "非常感谢", "谢谢你的帮助"], "不客气！"),
    (["再见", "拜拜", "下次见", "明天见", "我走了", "晚安"], "再见！"),
    (["hello", "hi", "Hello!", "Hi there", "Good morning", "Good evening", "hey"], "Hello! I am Huozi. Nice to meet you."),
    (["who are you", "What is your name", "Who are you", "Introduce yourself", "What are you"], SELF_EN),
    (["What can you do", "what can you do for me", "How can you help me", "What are you able to do"], CAN_EN),
    (["Thank you", "Thanks", "thanks a lot", "Thank you very much"], "You're welcome!"),
    (["Goodbye", "Bye", "See you", "bye bye", "Good night"], "Goodbye!"),
]


def greeting(rng):
    texts, answer = rng.choice(GREETINGS)
    text = rng.choice(texts)
    tail = rng.choice(["", "。", "！", "？"]) if not text.isascii() else rng.choice(["", ".", "!", "?"])
    return Item("greeting", f"{text}|{tail}", text.rstrip("!") + tail, answer)


# --- out of scope: one short honest sentence -----------------------------------

NO_CODE, NO_TRANSLATE, NO_LIVE, NO_POEM = "抱歉，我不会写代码。", "抱歉，我不会翻译。", "抱歉，我不知道现在的情况。", "抱歉，我不会背这首诗。"
CODE = ["用{l}写一个{c}", "用{l}写一段{c}的代码", "写一个{c}程序", "用{l}实现{c}", "怎么用{l}写{c}", "帮我写{c}的{l}代码", "给我一段{c}的代码", "你会用{l}编程吗", "请你用{l}写一段{c}代码", "编写一个{l}函数实现{c}", "这段{l}代码有什么问题"]
TRANSLATE = ["把“{x}”翻译成英文", "把这句话翻译成中文：{e}", "翻译：{e}", "“{x}”用英语怎么说", "{e}是什么意思", "把下面的话译成法语：{x}", "将{x}翻译成日语"]
LIVE = ["今天天气怎么样", "明天会下雨吗", "现在几点了", "今天几号", "今天星期几", "{city}的天气怎么样", "今天{city}多少度", "最近有什么新闻", "现在的股价是多少", "今天的油价是多少", "{city}现在堵车吗", "现在是几月", "昨天的比赛谁赢了", "今年是哪一年", "美元汇率是多少", "{city}明天冷不冷"]
OPEN = ["写一篇关于{t}的文章", "谈谈你对{t}的看法", "{t}是什么", "什么是{t}", "{t}有什么好处", "怎么学习{t}", "给我讲讲{t}", "{t}和{u}有什么区别", "为什么{t}这么重要", "请介绍一下{t}", "写一首关于{t}的诗", "给我一些{t}的建议",
        "如何看待{t}", "请列出关于{t}的五个要点", "分析{t}的优缺点", "编一个关于{t}的故事", "写一封关于{t}的邮件", "{t}的未来会怎样", "你喜欢{t}吗", "你觉得{t}怎么样", "推荐几本{t}的书", "给{t}写一个标题",
        "假如你是一位{t}专家，请回答问题", "总结一下{t}的历史", "解释{t}的原理", "{t}对{u}有什么影响", "我想了解{t}", "用三句话描述{t}", "关于{t}，你怎么想", "请为{t}制定一个计划", "{t}难吗", "讲一个笑话", "给我讲个故事", "你有女朋友吗",
        "你多大了", "你几岁", "你喜欢吃什么", "人生的意义是什么", "帮我订一张去{city}的机票", "{city}有什么好玩的", "从{city}到{city2}有多远", "推荐一家{city}的餐厅", "{city}有多少人", "我今天很难过", "我不想上班", "你爱我吗", "唱一首歌",
        "画一只猫", "放一首音乐", "给妈妈打电话", "附近有银行吗", "晚饭吃什么", "我头疼怎么办", "怎么做{t}", "谁最懂{t}", "你会{t}吗", "修改下面的句子：{x}", "这句话有什么错误：{x}", "概括下面的内容：{x}", "给下面的文字写评论：{x}",
        "下面哪个选项正确：A {t} B {u}", "{x}这是什么意思", "请扩写：{x}", "判断这句话的情感：{x}", "如果{t}消失了会怎么样", "请以“{t}”为题写作文", "作为一名{t}老师，你会怎么做", "一个农场有鸡和兔，怎么算", "{n}是质数吗", "{n}的平方根是多少", "解方程x+{n}=0",
        "{n}除以{m}等于多少", "{n}乘以{m}等于多少", "{n}+{m}等于多少", "{m}+{n}是多少", "{n}减{m}是多少", "{n}*{m}=", "{n}+{m}=", "{k}+{j}等于多少", "{k}加{j}等于几", "{k}+{j}=", "{k}×{j}等于多少", "{k}-{j}=", "{n}和{m}的最大公约数是多少", "小明有{n}个苹果，吃了一些，还剩多少"]
OPEN_EN = ["Write an essay about {t}", "What do you think about {t}", "Tell me a story about {t}", "How do I learn about {t}", "Explain {t} to a child", "Give me advice on {t}", "Write a python function for {t}", "Translate '{g}' into French",
           "What is {t}", "Why is {t} important", "Write a poem about {t}", "List five facts about {t}", "Who invented {t}", "How does {t} work", "Compare {t} and {u}", "What's the weather like today", "What time is it", "Tell me a joke",
           "Summarize this: {g}", "Fix the grammar: {g}", "Write an email about {t}", "Imagine you are an expert in {t}", "Help me plan {t}", "Do you like {t}", "What are the benefits of {t}", "{g}", "How old are you", "Sing a song",
           "Solve the equation x + {n} = {m}", "What is {n} divided by {m}", "What is the square root of {n}", "Is {n} a prime number", "Describe {t} in detail", "Debug this code: {g}", "Draft a letter to my boss about {t}"]


def nonsense(rng, length):
    pool = rng.choice([COMMON, "".join(w.TOPICS), w.GIVEN + w.SURNAMES, "".join(POEMS["unknown_lines"])])
    return "".join(rng.choice(pool) for _ in range(length))


def prose(rng, length):
    parts, n = [], 0
    while n < length:
        part = rng.choice(POEMS["unknown_lines"]) if rng.random() < 0.6 else rng.choice(w.TOPICS) + nonsense(rng, rng.randint(2, 6))
        parts.append(part)
        n += len(part)
    return "，".join(parts)


def gibberish(rng, n):
    return " ".join(rng.choice(w.ENGLISH_WORDS) for _ in range(n))


def out_of_scope(rng, long=False):
    kind = rng.choices(["code", "translate", "live", "open", "poem", "en", "noise"], [2, 1.5, 1.5, 6, 2, 4, 2])[0]
    size = rng.randint(60, 300) if long else rng.randint(4, 16)
    fill = dict(l=rng.choice(w.LANGUAGES), c=rng.choice(w.CODE), t=rng.choice(w.TOPICS), u=rng.choice(w.TOPICS), city=rng.choice(w.CITIES), city2=rng.choice(w.CITIES),
                x=prose(rng, size), e=gibberish(rng, rng.randint(3, 8)), n=rng.randint(101, 9999), m=rng.randint(11, 999), k=rng.randint(31, 99), j=rng.randint(21, 30))
    if kind in ("code", "translate", "live", "open"):
        text = rng.choice({"code": CODE, "translate": TRANSLATE, "live": LIVE, "open": OPEN}[kind])
        if long and kind == "open":
            text = rng.choice([s for s in OPEN if "{x}" in s])
        answer = {"code": NO_CODE, "translate": NO_TRANSLATE, "live": NO_LIVE, "open": UNKNOWN}[kind]
        body = text.format(**fill)
        user = zh(rng, body, text[0] not in "用写帮给请把将编翻谈")
    elif kind == "poem":
        if rng.random() < 0.5:
            body = rng.choice(NEXT + TITLE + LINE_AUTHOR).format(s=rng.choice(POEMS["unknown_lines"]))
        else:
            body = rng.choice(RECITE).format(p=rng.choice(POEMS["unknown_titles"]))
        user, answer = zh(rng, body, body[-1] not in "》文"), NO_POEM
    elif kind == "en":
        fill.update(t=rng.choice(w.ENGLISH_TOPICS), u=rng.choice(w.ENGLISH_TOPICS), g=gibberish(rng, rng.randint(30, 150) if long else rng.randint(3, 12)))
        body = rng.choice(OPEN_EN).format(**fill)
        user, answer = en(rng, body), UNKNOWN_EN
    else:
        roll = rng.random()
        if roll < 0.4:
            body = nonsense(rng, size)
        elif roll < 0.7:
            body = prose(rng, size)
        else:
            body = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789!@#$%&*") for _ in range(rng.randint(3, 12))) + nonsense(rng, 2)
        user, answer = body, UNKNOWN
    fixed = kind in ("live", "open") and "{" not in text
    return Item("out_of_scope", None if fixed else body, user, answer)


SINGLE = {"arithmetic": arithmetic, "number_words": number_words, "sorting": sorting, "reversing": reversing, "repeating": repeating, "counting": counting,
          "facts": facts, "verse": verse, "greeting": greeting, "out_of_scope": out_of_scope}


def draw(rng, task, heldout=False, **kw):
    while True:
        item = SINGLE[task](rng, **kw)
        if is_heldout(item.key) == heldout:
            return item
