from __future__ import annotations

import os

import numpy as np
import pytest
from fer_forms import picture_files, small, write_folder

from fer_utils.data.cache import cached, stamp


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))


class Build:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"numbers": np.arange(5), "flags": np.array([True, False])}


def stored(tmp_path):
    return list((tmp_path / "cache").iterdir())


def test_the_second_time_comes_from_the_cache(tmp_path):
    build = Build()
    for _ in range(2):
        result = cached(tmp_path / "a", "1", build)
        np.testing.assert_array_equal(result["numbers"], np.arange(5))
        assert result["flags"].dtype == bool
    assert build.calls == 1 and len(stored(tmp_path)) == 1  # and no temporary file stays behind


@pytest.mark.parametrize("path, state", [("b", "1"), ("a", "2")])
def test_another_path_or_state_is_built_anew(tmp_path, path, state):
    build = Build()
    cached(tmp_path / "a", "1", build)
    cached(tmp_path / path, state, build)
    assert build.calls == 2


def test_cache_off_stores_nothing(tmp_path):
    build = Build()
    for _ in range(2):
        cached(tmp_path / "a", "1", build, cache=False)
    assert build.calls == 2 and not (tmp_path / "cache").exists()


def pickled(file):
    np.savez(file, numbers=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize("damage", [
    lambda file: file.write_bytes(b""),
    lambda file: file.write_bytes(b"junk" * 100),
    lambda file: file.write_bytes(file.read_bytes()[:-80]),
    lambda file: file.write_bytes(file.read_bytes().replace(np.arange(5).tobytes(), np.arange(1, 6).tobytes())),
    pickled,
], ids=["empty", "junk", "cut short", "other bytes", "pickled objects"])
def test_a_broken_cache_is_built_anew_and_replaced(tmp_path, damage):
    build = Build()
    cached(tmp_path / "a", "1", build)
    damage(stored(tmp_path)[0])
    for _ in range(2):
        np.testing.assert_array_equal(cached(tmp_path / "a", "1", build)["numbers"], np.arange(5))
    assert build.calls == 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "file" / "cache"))
    np.testing.assert_array_equal(cached(tmp_path / "a", "1", Build())["numbers"], np.arange(5))


def test_stamp_of_a_file_follows_size_and_time(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"1")
    first = stamp(file)
    assert stamp(file) == first
    os.utime(file, ns=(1, 1))
    second = stamp(file)
    file.write_bytes(b"12")
    os.utime(file, ns=(1, 1))
    assert len({first, second, stamp(file)}) == 3


def test_stamp_of_a_folder_follows_every_file(tmp_path):
    folder = write_folder(tmp_path / "pictures", picture_files(small(7), "other"))
    first = stamp(folder)
    assert stamp(folder) == first
    file = next(folder.glob("train/*/*.png"))
    os.utime(file, ns=(1, 1))
    second = stamp(folder)
    file.rename(file.with_name("Training_1.png"))
    third = stamp(folder)
    file.with_name("Training_1.png").unlink()
    assert len({first, second, third, stamp(folder)}) == 4
