"""Free text without ID numbers, phones, bank cards and introduced names: for whatever is loaded, logged or written down."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import cache

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PROVINCE = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")
_HIDDEN = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
"""Characters that print nothing (Unicode's default ignorables of the basic plane)."""
_BETWEEN = " \\t\u00a0\u2000-\u200a\u202f\u3000\\-\u2010-\u2015\u2212\uff0d_·•"
"""What people write between the digits of one number. Not the comma, slash or line end: those part two."""
_RUN = re.compile(rf"[+＋(（]?[0-9][0-9{_BETWEEN}()（）]*[0-9][Xx]?|[0-9]")
_GROUP = re.compile(r"[0-9]+[Xx]?")
_MOBILE = re.compile(r"(?:(?:00)?86|0)?1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"(?:(?:00)?86|0)(?:10|2[0-9]|[3-9][0-9]{2})[1-9][0-9]{6,7}")
_POINTED = re.compile(r"(?<![0-9.])1[3-9][0-9]\.[0-9]{4}\.[0-9]{4}(?![0-9.])")
_CALLED = re.compile(
    rf"((?:电话|手机|座机|联系方式|微信|(?<![A-Za-z])(?:QQ|tel|phone|mobile|wechat))号?码?[:：是为 ]{{0,3}})"
    rf"(?!(?:19|20)[0-9]{{2}}[-年./]?[01]?[0-9][-月./]?[0-3]?[0-9](?![0-9]))(\+?[0-9](?:[{_BETWEEN}]?[0-9]){{6,}})",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?:6[0-9]{15,18}|9[0-9]{15,18}|(?:4[0-9]|5[1-5]|35)[0-9]{14})")
_HAN = "〇㐀-鿿\U00020000-\U0003ffff"
_ROLES = "填表人|制表人|审核人|联系人|申请人|当事人|投诉人|举报人|反映人|来访人|信访人|诉求人|来电人|报案人|报警人|经办人|负责人|承办人|受理人|户主|业主|房主|车主|法人代表|监护人|被告|原告"
_WHO = "姓[ \u3000]{0,2}名|名字"
_SAYS = "我叫|名叫|本人叫|我的名字叫|我名叫"
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔"
    "钟谭陆汪范金石廖贾夏韦付傅方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤欧司诸上"
)
_AFTER = f"(?=$|[^{_HAN}·]|住|是|的|家|电话|手机|联系|身份|今年|现|反映|来电)"
_DOT = "[·•・‧]"
_NAME = (
    rf"(?:[{_HAN}]{{1,6}}(?:{_DOT}[{_HAN}]{{1,6}}?)+{_AFTER}|[{_HAN}]{{1,6}}(?:{_DOT}[{_HAN}]{{1,4}})+|"
    rf"[{_HAN}·]{{2,4}}?{_AFTER}|[{_HAN}·]{{2,3}}|"
    rf"[{_HAN}][ \u3000]{{1,2}}[{_HAN}](?![{_HAN}])|[A-Za-z][A-Za-z.'’]*(?: [A-Z][A-Za-z.'’]*){{0,3}})"
)
_NONE = "(?!不详|不明|未知|未填|保密|匿名|电话|手机|方式|信息|姓名|不愿|身份|是否|[无略空])"
_NAMED = re.compile(
    rf"((?:{_SAYS}|(?:{_WHO})(?:[:：]|是|为|叫)?)[ \t\u3000]*|(?:{_ROLES})(?:姓名)?(?:[:：]|是|为)[ \t\u3000]*"
    rf"|(?i:(?<![A-Za-z])(?:my name is|(?:name|contact|applicant|householder)[:：])) *)"
    rf"{_NONE}({_NAME}(?:[、/]{_NAME})*)"
    rf"|((?:{_ROLES})[ \t\u3000]?)(?=[{_SURNAMES}]){_NONE}({_NAME})"
)
SUSPECT = (
    rf"(?i)(?:\p{{Nd}}[^\p{{Nd}}\n]{{0,4}}){{6}}\p{{Nd}}|[{_HIDDEN}]|{_SAYS}|{_WHO}|{_ROLES}"
    r"|my name is|(?:name|contact|applicant|householder)[:：]"
)
"""For RE2: matched by every text that `mask` changes, so that the others need not be looked at."""


_UNITS = "局办委村社院所站队部会组室心科处司镇乡县街道区园校厅署团联厂店库长员记任"
_PERSON = re.compile(
    rf"[{_SURNAMES}](?:[{_HAN}]{{0,1}}[{_HAN}](?<![{_UNITS}])|主任|书记|支书|[局部镇乡县所队站组科处校]长)"
)


def is_person(text: str) -> bool:
    """Whether a short text can only be a person: a surname with a given name, or with an office ("王主任")."""
    return _PERSON.fullmatch("".join(text.split())) is not None


def mask(text: str) -> str:
    """Free text without ID numbers, phones, bank cards and introduced names; unchanged where it has none.

    ID numbers have 18 characters (checksum and birthday) or, of old, 15 digits (birthday); cards pass Luhn.
    Digits may be full-width, parted by blanks or dashes, or have characters between them that do not show.
    """
    plain = text if text.isascii() else text.translate(_plain())
    masked = _POINTED.sub("[电话]", _RUN.sub(_without_numbers, plain))
    masked = _CALLED.sub(r"\1[电话]", masked)
    masked = _NAMED.sub(_without_names, masked)
    return text if masked == plain else masked


@cache
def _plain() -> dict[int, str | None]:
    """What shows nothing goes, digits of any script become our own, and so does whatever looks like an X."""
    shown = re.compile(f"[{_HIDDEN}]")
    return {
        **dict.fromkeys(ord(sign) for sign in map(chr, range(0xFFFF)) if shown.match(sign)),
        **{
            code: str(unicodedata.decimal(chr(code)))
            for code in range(0x80, 0x20000)
            if chr(code).isdecimal()
        },
        **dict.fromkeys(map(ord, "ＸｘΧχХх"), "X"),
    }


def _without_names(found: re.Match[str]) -> str:
    cue, names = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
    return str(cue) + re.sub(r"[^、/]+", "[姓名]", str(names))


def _without_numbers(found: re.Match[str]) -> str:
    """A run of digits in groups: whichever groups that stand together make a number of a kind go."""
    run = found[0]
    if sum(sign.isdigit() for sign in run) < 10:
        return run
    groups = [(group.start(), group.end(), group[0]) for group in _GROUP.finditer(run)]
    gone: list[tuple[int, int, str]] = []
    free = [True] * len(groups)
    for is_one, word in ((_is_id, "[证件号码]"), (_is_phone, "[电话]"), (_is_card, "[银行卡]")):
        for first in range(len(groups)):
            for last in range(first, len(groups)):
                parts = [group for _, _, group in groups[first : last + 1]]
                if not all(free[first : last + 1]) or sum(map(len, parts)) > 19:
                    break
                if is_one("".join(parts), parts):
                    free[first : last + 1] = [False] * (last + 1 - first)
                    gone.append((groups[first][0], groups[last][1], word))
                    break
    for start, end, word in sorted(gone, reverse=True):
        if start and run[start - 1] in "+＋(（":
            start -= 1
        run = run[:start] + word + run[end:]
    return run


def _is_id(number: str, parts: Sequence[str]) -> bool:
    if not _PROVINCE.match(number):
        return False
    if len(number) == 18:
        return number[:17].isdigit() and _is_day(number[6:14]) and valid_id_number(number)
    # Those of 15 digits were given until 1999. Born before 1927 nobody is left to write one, but case numbers
    # are made of the area and a day of our years.
    return len(number) == 15 and number.isdigit() and number[6:8] >= "27" and _is_day("19" + number[6:12])


def _is_day(digits: str) -> bool:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year >= 1900
    except ValueError:
        return False


def _is_phone(number: str, parts: Sequence[str]) -> bool:
    if _MOBILE.fullmatch(number):
        return True
    # Of a landline the area stands in one piece, which no month and no day does.
    area = next((part for part in parts if part not in ("86", "0086")), "")
    return bool(_LANDLINE.fullmatch(number)) and (len(area) > 2 or len(parts) == len(number))


def _is_card(number: str, parts: Sequence[str]) -> bool:
    if not _CARD.fullmatch(number) or not _luhn(number):
        return False
    sizes = {len(part) for part in parts[:-1]}
    return sizes <= {4} or sizes <= {1} or (len(parts) == 2 and sizes <= {6, 8})


def valid_id_number(number: str) -> bool:
    """Checksum of an 18-character resident ID number (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def _luhn(number: str) -> bool:
    doubled = [
        sum(divmod(2 * int(digit), 10)) if place % 2 else int(digit)
        for place, digit in enumerate(reversed(number))
    ]
    return sum(doubled) % 10 == 0
