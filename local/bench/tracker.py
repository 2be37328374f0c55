"""The size of the tracker script, beside what others measured."""

from collections.abc import Mapping
from pathlib import Path

import brotli

import chalicelib.tracker

OTHERS: Mapping[str, int] = {
    "Fathom Lite (page views only)": 1_049,
    "Tolt, which loads 36,614 more": 1_402,
    "Dub, base": 1_459,
    "GoatCounter": 1_845,
    "FirstPromoter": 1_937,
    "Umami": 1_941,
    "Plausible": 2_355,
    "Dub, all extensions": 2_513,
}
"""Bytes, minified, brotli 11, as measured on 2026-11-22."""


def sizes() -> dict[str, int]:
    """Bytes: ``brotli`` of the core file, ``all`` with form capture and cross-domain links."""
    built = Path(chalicelib.tracker.__file__).parent / "built"

    def size(name: str) -> int:
        return len(brotli.compress((built / name).read_bytes(), quality=11))

    return {"brotli": size("core.js"), "all": size("forms_cross_domain.js")}


def show(own: Mapping[str, int]) -> str:
    named = {**OTHERS, "Refledger, core": own["brotli"], "Refledger, all": own["all"]}
    ordered = sorted(named.items(), key=lambda pair: pair[1])
    return "\n".join(f"{size:>7,} B  {name}" for name, size in ordered)
