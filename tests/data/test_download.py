from __future__ import annotations

import os
import sys
import time

import pytest
from fer_forms import picture_files, small, write_folder

from fer_utils import paths
from fer_utils.data import download

GROW = """
import sys, time
with open(sys.argv[1] + "/part", "wb", buffering=0) as file:
    for _ in range(16):
        file.write(b"x" * 1000)
        time.sleep(.3)
print("noise")
print("/the/path")
"""


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_watch_waits_for_a_download_that_grows_longer_than_its_patience(tmp_path):
    started = time.monotonic()
    assert download.watch([sys.executable, "-c", GROW, str(tmp_path)], tmp_path, patience=3) == "/the/path"
    assert time.monotonic() - started > 4


def test_watch_kills_a_download_that_stalls(tmp_path):
    pid = tmp_path / "pid"
    stall = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    started = time.monotonic()
    assert download.watch([sys.executable, "-c", stall], tmp_path, patience=1) is None
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize("code", ["raise SystemExit('no network')", "pass", "print('/p'); raise SystemExit(1)"])
def test_watch_answers_nothing_for_a_failure_and_stays_silent(tmp_path, code, capfd):
    assert download.watch([sys.executable, "-c", code], tmp_path) is None
    assert capfd.readouterr() == ("", "")


def test_the_newest_complete_copy_in_kagglehubs_cache_is_taken(tmp_path):
    folder = tmp_path / "home" / ".cache" / "kagglehub" / "datasets" / "msambare" / "fer2013"
    for version in ("1", "9", "10", "11"):
        write_folder(folder / "versions" / version, picture_files(small(7), "other"))
        if version != "11":  # still being downloaded
            (folder / f"{version}.complete").touch()
    assert download.find() == folder / "versions" / "10"


def test_what_was_downloaded_before_is_taken_again(tmp_path):
    folder = write_folder(tmp_path / "cache" / "kaggle" / "dataset", picture_files(small(7), "other"))
    (tmp_path / "cache" / "kaggle" / "found.txt").write_text(str(folder))
    assert download.find() == folder


def test_a_fresh_failure_is_remembered(tmp_path):
    folder = paths.cache_dir() / "kaggle"
    folder.mkdir()
    (folder / "failed").touch()
    minute_ago = time.time() - 60
    os.utime(folder / "failed", (minute_ago, minute_ago))
    assert download.find() is None
    assert (folder / "failed").stat().st_mtime == pytest.approx(minute_ago, abs=1)  # not tried again


def test_no_network_costs_seconds_and_is_remembered(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("kagglehub")
    started = time.monotonic()
    assert download.find(patience=4) is None
    assert time.monotonic() - started < 60
    assert (paths.cache_dir() / "kaggle" / "failed").is_file()
