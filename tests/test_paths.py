from pathlib import Path

import pytest

from fer_utils import paths


def test_atomic_moves_a_finished_file_into_place(tmp_path):
    target = tmp_path / "deep" / "a.csv.gz"
    with paths.atomic(target) as temporary:
        assert temporary.suffixes == [".csv", ".gz"] and temporary.parent == target.parent
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new" and list(target.parent.iterdir()) == [target]


def test_atomic_keeps_the_former_file_when_writing_fails(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), paths.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_variables_are_read_when_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("FER_DATA", " x.csv ")
    monkeypatch.setenv("FER_WEIGHTS", "")
    monkeypatch.setenv("FER_MODELS", str(tmp_path / "m"))
    assert paths.data_source() == "x.csv" and paths.weights_source() is None
    assert paths.models_dir() == (tmp_path / "m").resolve() and paths.models_dir().is_dir()


def test_weights_are_looked_for_beside_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    assert paths.weights_source() == tmp_path
    monkeypatch.setenv("FER_WEIGHTS", "other")
    assert paths.weights_source() == Path("other")


def test_paths_do_not_depend_on_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert (paths.ROOT / "fer_utils" / "paths.py").is_file() and paths.NOTEBOOKS.is_dir()


@pytest.mark.parametrize("place", ["file/cache", "/proc/cache"])
def test_a_cache_that_cannot_be_written_lies_among_the_temporary_files_and_that_is_said_once(
        monkeypatch, tmp_path, capsys, place):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / place))
    monkeypatch.setattr(paths.tempfile, "tempdir", str(tmp_path))
    paths._temporary_cache.cache_clear()
    assert paths.cache_dir() == paths.cache_dir() and paths.cache_dir().parent == tmp_path
    assert paths.cache_dir().is_dir() and capsys.readouterr().err.count("note: parsed data is kept in") == 1


def test_a_user_without_a_home_has_a_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("FER_CACHE")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    paths._temporary_cache.cache_clear()
    monkeypatch.setattr(paths.tempfile, "tempdir", str(tmp_path))
    assert paths.cache_dir().is_dir() and tmp_path in paths.cache_dir().parents
