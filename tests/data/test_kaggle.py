from __future__ import annotations

import numpy as np
import pytest
from fer_forms import picture_files, small, write_folder

from fer_utils import data, paths
from fer_utils.data import kaggle


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FER_DATA")
    monkeypatch.setattr(paths, "DATA", tmp_path / "no data here")


def test_the_newest_complete_copy_in_kagglehubs_cache_is_taken(tmp_path):
    folder = tmp_path / "home" / ".cache" / "kagglehub" / "datasets" / "msambare" / "fer2013"
    for version in ("1", "9", "10", "11"):
        write_folder(folder / "versions" / version, picture_files(small(7), "other"))
        if version != "11":  # still being downloaded
            (folder / f"{version}.complete").touch()
    assert kaggle.find() == folder / "versions" / "10"
    assert np.array_equal(data.load().labels, small(7).labels)
