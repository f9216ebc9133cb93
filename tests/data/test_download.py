from __future__ import annotations

import os
import time

import numpy as np
import pytest
from fer_forms import csv_text, picture_files, small, write_folder, write_tar

from fer_utils import data, paths
from fer_utils.data import download

KAGGLEHUB = """
import os
print("noise")
def competition_download(handle, path, output_dir):
    {competition}
def dataset_download(handle, output_dir):
    {dataset}
"""


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FER_DATA")
    monkeypatch.setattr(paths, "DATA", tmp_path / "no data here")


def fake_kagglehub(tmp_path, monkeypatch, competition: str, dataset: str = "raise OSError") -> None:
    """A kagglehub whose two functions do what is said."""
    module = KAGGLEHUB.format(competition=competition, dataset=dataset)
    monkeypatch.setenv("PYTHONPATH", str(write_folder(tmp_path / "fake", {"kagglehub.py": module.encode()})))
    monkeypatch.syspath_prepend(tmp_path / "fake")


@pytest.mark.parametrize("account", [True, False])
def test_the_competition_is_taken_else_the_data_set_and_found_again(tmp_path, monkeypatch, capfd, account):
    ours = write_tar(tmp_path / "fer2013.tar.gz", {"fer2013/fer2013.csv": csv_text(small(7))})
    theirs = write_folder(tmp_path / "pictures", picture_files(small(14), "other"))
    fake_kagglehub(tmp_path, monkeypatch, f"return {str(ours)!r}" if account else "raise OSError('no account')",
                   f"return {str(theirs)!r}")
    assert len(data.load()) == (7 if account else 14)
    fake_kagglehub(tmp_path, monkeypatch, "raise OSError")
    assert download.find() == (ours if account else theirs)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("answer", ["raise OSError('no network')", "return '/nowhere'", "os._exit(1)"])
def test_a_failure_gives_nothing_stays_silent_and_is_remembered(tmp_path, monkeypatch, capfd, answer):
    fake_kagglehub(tmp_path, monkeypatch, answer, answer)
    assert download.find() is None and capfd.readouterr() == ("", "")
    failed = paths.cache_dir() / "kaggle" / "failed"
    minute_ago = time.time() - 60
    os.utime(failed, (minute_ago, minute_ago))
    assert download.find() is None
    assert failed.stat().st_mtime == pytest.approx(minute_ago, abs=1)  # not tried again


def test_the_newest_complete_copy_in_kagglehubs_cache_is_taken(tmp_path):
    folder = tmp_path / "home" / ".cache" / "kagglehub" / "datasets" / "msambare" / "fer2013"
    for version in ("1", "9", "10", "11"):
        write_folder(folder / "versions" / version, picture_files(small(7), "other"))
        if version != "11":  # still being downloaded
            (folder / f"{version}.complete").touch()
    assert download.find() == folder / "versions" / "10"
    assert np.array_equal(data.load().labels, small(7).labels)


def test_no_network_costs_seconds(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("kagglehub")
    started = time.monotonic()
    assert download.find() is None
    assert time.monotonic() - started < 60
