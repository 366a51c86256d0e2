"""Huozi's template as token ids, exactly as the product sends it.

    [BOS] then per turn  [BEGIN] enc("▁用户\\n…") [END] enc("▁\\n")  and for a new
    answer  [BEGIN] enc("▁助手\\n")  followed by the answer's tokens and [END].

Each stretch of text after a special token is encoded on its own and gets
SentencePiece's dummy prefix "▁" (legacy behaviour; llama.cpp does the same). The
answer continues "▁助手\\n", so it gets no prefix of its own.
"""

from pathlib import Path

import sentencepiece as spm

BEGIN_TEXT, END_TEXT = "<|beginofutterance|>", "<|endofutterance|>"
ROLES = {"system": "系统", "user": "用户", "assistant": "助手"}
BOS = 1


class ChatML:
    def __init__(self, folder):
        self.sp = spm.SentencePieceProcessor(str(Path(folder) / "tokenizer.model"))
        self.begin = self.sp.vocab_size()
        self.end = self.begin + 1
        self.vocab = self.begin + 2
        self.between = self.sp.encode("\n")
        self.newline = self.sp.piece_to_id("<0x0A>")
        self.heads = {}

    def answer_ids(self, text):
        """Tokens of an answer that follows "助手\\n": encoded jointly, split after the newline."""
        ids = self.sp.encode("助手\n" + text)
        return ids[ids.index(self.newline) + 1 :]

    def head(self, role):
        if role not in self.heads:
            self.heads[role] = self.sp.encode(role + "\n")
        return self.heads[role]

    def encode(self, messages, roles=None, bos=True):
        """-> (ids, mask): mask marks the tokens to learn, i.e. every answer and its END."""
        names = dict(zip(("user", "assistant", "system"), roles)) if roles else ROLES
        ids, mask = [BOS] if bos else [], [0] if bos else []
        for i, m in enumerate(messages):
            if i:
                ids += self.between
                mask += [0] * len(self.between)
            name = names[m["role"]]
            if m["role"] == "assistant":
                head, body = self.head(name), self.answer_ids(m["content"])
            else:
                head, body = [], self.sp.encode(name + "\n" + m["content"])
            learn = int(m["role"] == "assistant")
            ids += [self.begin, *head, *body, self.end]
            mask += [0] * (1 + len(head)) + [learn] * (len(body) + 1)
        return ids, mask

    def prompt(self, messages, roles=None, bos=True):
        """Token ids up to where the next answer begins."""
        name = roles[1] if roles else ROLES["assistant"]
        return self.encode(messages, roles, bos)[0] + self.between + [self.begin] + self.head(name)

    def decode(self, ids):
        return self.sp.decode(self.sp.encode("助手\n") + list(ids))[len("助手\n") :]
