"""Pick the poems the model learns from npm `chinese-poetry` (MIT) and write poems.json.

    python poems.py node_modules/chinese-poetry/dist/mengxue poems.json

Texts there are traditional; OpenCC's t2s table makes them simplified. A poem is
chosen by its first line, so that the list below is all there is to review.
"""

import json
import re
import sys
from pathlib import Path

FIRST_LINES = """
白日依山尽 红豆生南国 空山不见人 独坐幽篁里 绿蚁新醅酒 床前明月光 向晚意不适 移舟泊烟渚 春眠不觉晓
千山鸟飞绝 松下问童子 众鸟高飞尽 白发三千丈 君自故乡来 功盖三分国 打起黄莺儿 终南阴岭秀 岭外音书断
寥落古行宫 山中相送罢 北斗七星高 君家在何处 何处秋风至 此地别燕丹 偶来松树下 怀君属秋夜
苍苍竹林寺 三日入厨下 鸣筝金粟柱 故国三千里
寒雨连江夜入吴 独在异乡为异客 葡萄美酒夜光杯 故人西辞黄鹤楼 朝辞白帝彩云间 君问归期未有期 岐王宅里寻常见
青山隐隐水迢迢 银烛秋光冷画屏 折戟沉沙铁未销 烟笼寒水月笼沙 独怜幽草涧边生 月落乌啼霜满天 少小离家老大回
朱雀桥边野草花 春城无处不飞花 故园东望路漫漫 云母屏风烛影深 誓扫匈奴不顾身 隐隐飞桥隔野烟 更深月色半人家
胜日寻芳泗水滨 春宵一刻值千金 爆竹声中一岁除 天街小雨润如酥 清明时节雨纷纷 云淡风轻近午天 应怜屐齿印苍苔
水光潋滟晴方好 两个黄鹂鸣翠柳 梅子黄时家家雨 黄梅时节家家雨 毕竟西湖六月中 山外青山楼外楼 梅雪争春未肯降
半亩方塘一鉴开 荷尽已无擎雨盖 昨夜江边春水生 金炉香烬漏声残
""".split()

BY_FIRST_LINE = {"毕竟西湖六月中": ("晓出净慈寺送林子方", "杨万里"), "半亩方塘一鉴开": ("观书有感", "朱熹")}

# Titles and authors that differ from what people say today (千家诗's titles are its own).
FIX = {
    "春眠": ("春晓", None), "初春小雨": ("早春呈水部张十八员外", "韩愈"),
    "西湖": ("饮湖上初晴后雨", "苏轼"), "游小园不值": ("游园不值", "叶绍翁"),
    "江南春绝句": ("江南春", None), "题临安邸": (None, "林升"),
    "冬景": ("赠刘景文", "苏轼"), "有约": ("约客", "赵师秀"),
}


def clean(text):
    text = re.sub(r"[（(].*?[)）]", "", text).replace(" ", "")
    return [s for s in re.split(r"[，。？！；、]", text) if s]


def main(folder, out):
    from opencc import OpenCC

    simplify = OpenCC("t2s").convert
    found, others = {}, []
    for book in ("tangshisanbaishou", "qianjiashi"):
        data = json.loads(Path(folder, f"{book}.json").read_text())
        for part in data["content"]:
            for poem in part["content"]:
                paragraphs = [p if isinstance(p, str) else "".join(p.get("paragraphs", [])) for p in poem["paragraphs"]]
                lines = clean(simplify("".join(paragraphs)))
                if not lines:
                    continue
                title = re.sub(r"[·　 ].*", "", simplify(poem["chapter"]))
                author = re.sub(r"（.*?）", "", simplify(poem["author"]))
                if lines[0] in FIRST_LINES and len(lines) == 4 and len({len(s) for s in lines}) == 1:
                    new_title, new_author = BY_FIRST_LINE.get(lines[0]) or FIX.get(title, (None, None))
                    found.setdefault(lines[0], {"title": new_title or title, "author": new_author or author, "lines": lines})
                else:
                    others.append({"title": title, "lines": [s for s in lines if 5 <= len(s) <= 7][:8]})
    known_lines = {s for p in found.values() for s in p["lines"]}
    known_titles = {p["title"] for p in found.values()}
    unknown = [s for p in others for s in p["lines"] if s not in known_lines]
    titles = sorted({p["title"] for p in others if p["title"] not in known_titles and len(p["title"]) <= 8})
    poems = [found[f] for f in FIRST_LINES if f in found]
    # Lines and titles of poems the model does NOT learn: it must say so instead of inventing.
    result = {"poems": poems, "unknown_lines": sorted(set(unknown))[::3], "unknown_titles": titles}
    Path(out).write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    print(len(poems), "poems;", len(result["unknown_lines"]), "other lines; missing:",
          [f for f in FIRST_LINES if f not in found])


if __name__ == "__main__":
    main(*sys.argv[1:])
