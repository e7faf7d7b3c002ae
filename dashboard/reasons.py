"""Why a row was set aside, in words: one place for the pages and the command line."""

from __future__ import annotations

from warehouse.dataset import Dataset
from warehouse.text import Lang, Text

REASONS: dict[str, Text] = {
    "required": Text(zh="必填项为空", en="required field empty"),
    "type": Text(zh="格式不正确", en="not of the right type"),
    "pattern": Text(zh="编号不合规则", en="does not match the pattern"),
    "choice": Text(zh="取值不在字典内", en="value not in the list"),
    "refers": Text(zh="区划代码不存在", en="place not known"),
    "min": Text(zh="小于下限", en="below the minimum"),
    "max": Text(zh="大于上限", en="above the maximum"),
    "json": Text(zh="不是有效的 JSON 记录", en="not a JSON record"),
    "columns": Text(zh="列数不符", en="wrong number of columns"),
    "ended": Text(zh="该日已撤并的区划", en="a place no longer valid that day"),
    "unique": Text(zh="与文件内另一条重复", en="held by another record of the file"),
    "formula": Text(zh="公式未计算出结果", en="a formula without its result"),
    "digits": Text(zh="长编号以数字保存，已丢位", en="a long number that lost its last digits"),
    "error": Text(zh="单元格为错误值", en="a cell holds an error value"),
}


def in_words(dataset: Dataset | None, reason: str, lang: Lang) -> str:
    """A reason code such as `type:closed_at` in words, with the field's own label; a rule by its label.

    `ended:place:431122… 新东村` names what came after the place as its third part.
    """
    rule, name, successor = (*reason.split(":", 2), "", "")[:3]
    words = REASONS.get(rule)
    if words is None:
        text = None if dataset is None else dataset.rules.get(reason)
        return text[lang] if text else reason
    fields = () if dataset is None else dataset.fields
    label = next((field.label[lang] for field in fields if field.name == name), name)
    said = ("：" if lang == "zh" else ": ").join(filter(None, (label, words[lang])))
    if successor:
        said += f"（今为 {successor}）" if lang == "zh" else f" (now {successor})"
    return said
