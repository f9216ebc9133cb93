"""Shared fixtures: real data where `FER_DATA` points to it, the drawn sample, a folder of its own for each test."""

from __future__ import annotations

import os

import pytest

from fer_utils import paths

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

REAL = os.environ.get("FER_DATA", "")
VOTES = os.environ.get("FER_PLUS", "")
HAS_REAL = REAL not in ("", "sample")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_data: needs FER2013 (FER_DATA names it); skipped elsewhere")
    config.addinivalue_line("markers", "slow: takes more than about 20 seconds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if HAS_REAL:
        return
    skip = pytest.mark.skip(reason="needs FER2013: set FER_DATA to it")
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch, tmp_path_factory) -> None:
    """Nothing a test writes reaches the repository, and no test sees FER2013 unless it asks for it."""
    monkeypatch.setenv("FER_FIGURE", str(tmp_path / "figure"))
    monkeypatch.setenv("FER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("FER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("FER_DATA", "sample")
    monkeypatch.delenv("FER_PLUS", raising=False)
    monkeypatch.delenv("FER_WEIGHTS", raising=False)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path / "weights")


@pytest.fixture(scope="session")
def real_data():
    """FER2013 with FER+ votes where they are, loaded once."""
    if not HAS_REAL:
        pytest.skip("needs FER2013: set FER_DATA to it")
    from fer_utils import data

    return data.load(REAL, votes=VOTES or None)


@pytest.fixture(scope="session")
def drawn():
    """The drawn sample."""
    from fer_utils import data

    return data.load("sample")
