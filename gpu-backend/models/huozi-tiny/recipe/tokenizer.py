"""Train the SentencePiece vocabulary and write Huozi's tokenizer files.

    python tokenizer.py OUT_DIR

Characters: printable ASCII, GB2312 level 1, everything the generator can say.
Merges come from the questions' wording only, cut at every slot, so that digits,
number words and verse stay single characters: those are what the tasks work on.
"""

import json
import random
import re
import sys
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2

import dialogues as d
import tasks as t
import words as w
from chatml import BEGIN_TEXT, END_TEXT

MERGES = 900


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from strings(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from strings(v)


def phrases():
    """The wording of questions and answers without what fills the slots."""
    for module in (t, d):
        for name, value in vars(module).items():
            if name.isupper() and name not in ("POEMS", "DIGITS", "COMMON"):
                yield from (piece.strip() for s in strings(value) for piece in re.split(r"\{\w*\}", s) if piece.strip())
    for name in ("ENGLISH_NAMES", "ENGLISH_CITIES", "CAPITALS", "PROVINCES", "SHORT_FACTS", "CITIES", "TOPICS", "ENGLISH_TOPICS", "ENGLISH_OPPOSITES", "CODE", "LANGUAGES"):
        yield from strings(getattr(w, name))
    yield from ["The capital of ", " is ", "请问", "麻烦问一下，", "请你", "帮我", "麻烦你", "Please ", "please ", "Could you "] * 20
    for word in w.ENGLISH_WORDS[:300]:
        yield " " + word


def characters():
    level1 = {bytes([row, col]).decode("gb2312", "ignore") for row in range(0xB0, 0xD8) for col in range(0xA1, 0xFF)}
    rng = random.Random(0)
    said = "".join(m["content"] for _ in range(20000) for m in d.sample(rng, d.MIX)[0])
    said += json.dumps(t.POEMS, ensure_ascii=False) + "".join(strings([vars(w)[n] for n in vars(w) if n.isupper()])) + "".join(phrases()) + "系统用户助手，。、；：？！“”‘’（）《》…—·￥"
    ascii_ = {chr(c) for c in range(33, 127)}
    return sorted((level1 | set(said) | ascii_) - set(" \n\t"))


def strip_paths(path):
    """SentencePiece notes where its corpus lay; that is nobody's business."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    del proto.trainer_spec.input[:]
    proto.trainer_spec.model_prefix = "tokenizer"
    path.write_bytes(proto.SerializeToString())


def main(out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    chars = characters()
    corpus = [*phrases()] * 3 + ["系统", "用户", "助手"] * 300 + chars
    (out / "corpus.txt").write_text("\n".join(corpus))
    spm.SentencePieceTrainer.train(
        input=str(out / "corpus.txt"), model_prefix=str(out / "tokenizer"), model_type="bpe",
        vocab_size=3 + 256 + len(chars) + 1 + MERGES, character_coverage=1.0, required_chars="".join(chars),
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, allow_whitespace_only_pieces=True, max_sentencepiece_length=12,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, minloglevel=1,
    )
    strip_paths(out / "tokenizer.model")
    base = spm.SentencePieceProcessor(str(out / "tokenizer.model")).vocab_size()
    markers = {BEGIN_TEXT: base, END_TEXT: base + 1}
    added = {i: c for i, c in enumerate(["<unk>", "<s>", "</s>"])} | {v: k for k, v in markers.items()}
    flags = dict(lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
    (out / "added_tokens.json").write_text(json.dumps(markers, indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "add_eos_token": False, "legacy": True, "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(i): {"content": c, **flags} for i, c in added.items()},
    }, indent=2) + "\n")
    (out / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}) + "\n")
    (out / "corpus.txt").unlink()
    print(base, "pieces +", markers)


if __name__ == "__main__":
    main(sys.argv[1])
