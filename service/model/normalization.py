"""Bring two spellings of one address closer together, for the embedded model only.

MGeo must never see this: its own pipeline gives it the raw text.

What is unified: compatibility characters and case; Chinese numerals before a unit of a building
(``三号楼`` and ``3号楼``); the words for a building (``栋 幢 座 号楼 #``), a floor (``层 楼 f``) and a
room (``室 房 房间``). Numerals inside names (``三元桥``, ``文一路``) stay as they are.
"""

from __future__ import annotations

import re
import unicodedata

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_TENS = {"十": 10, "百": 100}

_NUMERAL = re.compile("([零〇一二两三四五六七八九十百]+)(?=号|栋|幢|座|单元|层|楼|室|房|弄|门|#)")
_BUILDING = re.compile("(?<=[0-9a-z])(?:#?号?楼栋|号楼|#楼|栋楼?|幢楼?|座|#)")
_FLOOR = re.compile("(?<=[0-9])(?:f(?![a-z])|楼层?)")
_ROOM = re.compile("(?<=[0-9])(?:房间?|号房|号室)")
_SPACE = re.compile(r"\s+")

_FIXED_POINT_ROUNDS = 8
"""Unicode folding of real text settles in one or two rounds; the bound is for text made to be hostile."""


def normalize(text: str) -> str:
    """Return the normal form of an address. Pure, total and idempotent: what is normal already stays as it is."""
    for _ in range(_FIXED_POINT_ROUNDS):
        result = _normalize_once(text)
        if result == text:
            break
        text = result
    return text


def _normalize_once(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = unicodedata.normalize("NFKC", text.lower())
    text = _SPACE.sub(" ", text).strip()
    text = _NUMERAL.sub(_arabic, text)
    text = _BUILDING.sub("栋", text)
    text = _FLOOR.sub("层", text)
    return _ROOM.sub("室", text)


def _arabic(match: re.Match[str]) -> str:
    value = parse_numeral(match.group(1))
    return match.group(1) if value is None else value


def parse_numeral(numeral: str) -> str | None:
    """Turn a Chinese numeral up to 999 into digits; None when it is not one.

    A row of digits is read digit by digit, as on door plates (``二〇一`` is ``201``); with ``十`` or ``百`` it is read as a
    number (``二十三`` is ``23``, ``一百零二`` is ``102``).
    """
    if not any(character in _TENS for character in numeral):
        return "".join(str(_DIGITS[character]) for character in numeral)
    total = 0
    pending: int | None = None
    ceiling = 1000
    for character in numeral:
        unit = _TENS.get(character)
        if unit is None:
            digit = _DIGITS[character]
            if pending:
                return None
            pending = digit
        elif unit >= ceiling:
            return None
        else:
            ceiling = unit
            total += (pending or 1) * unit
            pending = None
    return str(total + (pending or 0))
