"""Figures with their goals, as a table for people or, with JSON=1, one object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = ("NAME", "VALUE", "GOAL", "HOLDS")


@dataclass(frozen=True)
class Figure:
    """One measured number; it holds where `value` is at most `goal`."""

    name: str
    value: float
    unit: str
    goal: float

    @property
    def holds(self) -> bool:
        return self.value <= self.goal


def show(figures: Sequence[Figure]) -> None:
    if os.environ.get("JSON"):
        for figure in figures:
            value = round(figure.value, 2)
            line = {"name": figure.name, "value": value, "unit": figure.unit, "goal": figure.goal}
            print(json.dumps({**line, "holds": figure.holds}))
        return
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(figure: Figure) -> tuple[str, ...]:
    value = f"{figure.value:.1f} {figure.unit}"
    return figure.name, value, f"≤ {figure.goal:g} {figure.unit}", "yes" if figure.holds else "NO"
