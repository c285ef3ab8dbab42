"""Helm of our own, and the chart as it renders it."""

import json
import subprocess

import pytest
import yaml

from tests.local_cluster import build

from .rendering import CHART, NAME, Helm, Objects, Render, Values


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = str(build.client("helm", print))

    def run(*arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments, *(() if values is None else ("--values=-",))]
        return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    def run(values: Values | None = None, release: str = NAME) -> Objects:
        done = helm("template", release, str(CHART), "--namespace=mirrors", values=values or {})
        assert done.returncode == 0, done.stderr
        return [item for item in yaml.safe_load_all(done.stdout) if item]

    return run
