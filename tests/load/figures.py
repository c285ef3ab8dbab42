"""Figures with their goals, as a table for people or, with JSON=1, one object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

RATIO = "×"  # noqa: RUF001 (it is one)
_HEAD = ("NAME", "VALUE", "GOAL", "HOLDS", "OF")


@dataclass(frozen=True)
class Figure:
    """One measured number; it holds where `value` is at most `goal`, or at least where it is a rate.

    `of` says what the number was made of: the two sides of a ratio, the least and the most of a median.
    """

    name: str
    value: float
    unit: str
    goal: float
    of: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def show(figures: Sequence[Figure]) -> None:
    if os.environ.get("JSON"):
        for figure in figures:
            value = round(figure.value, _places(figure))
            line = {"name": figure.name, "value": value, "unit": figure.unit, "goal": figure.goal}
            print(json.dumps({**line, "holds": figure.holds, **({"of": figure.of} if figure.of else {})}))
        return
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    if not any(figure.of for figure in figures):
        rows = [row[:-1] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _places(figure: Figure) -> int:
    """Of a ratio and of what is below one, the second and third figure count."""
    return 3 if figure.unit == RATIO else 2


def _row(figure: Figure) -> tuple[str, ...]:
    value = f"{figure.value:.{_places(figure) if figure.goal <= 1 else 1}f} {figure.unit}"
    sign = "≥" if figure.at_least else "≤"
    return figure.name, value, f"{sign} {figure.goal:g} {figure.unit}", "yes" if figure.holds else "NO", figure.of
