from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from fer_forms import FORMS, csv_text, ferplus_files, picture_files, small, write_folder, write_votes

from fer_utils import data, paths
from fer_utils.data import DataError, Fer2013

RAW = small(35)


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """No data, votes, cache or home of the machine that runs the tests."""
    for name in ("FER_DATA", "FER_PLUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(paths, "DATA", tmp_path / "no data here")
    monkeypatch.setattr(paths, "KAGGLE", tmp_path / "no Kaggle here")


def write_csv(folder, raw=RAW):
    folder.mkdir(exist_ok=True)
    (folder / "fer2013.csv").write_bytes(csv_text(raw))
    return folder / "fer2013.csv"


def attach(file, tmp_path, monkeypatch):
    """As if the file were in a data set attached to a Kaggle notebook."""
    write_folder(tmp_path / "input" / "fer2013", {file.name: file.read_bytes()})
    monkeypatch.setattr(paths, "KAGGLE", tmp_path / "input")


def make(images, labels, split) -> Fer2013:
    return Fer2013(np.asarray(images, np.uint8), np.asarray(labels, np.int8), np.asarray(split, np.int8), None, "test",
                   False, True)


# --------------------------------------------------------------------------------------------- loading, caching


@pytest.mark.parametrize("form", FORMS)
def test_every_form_loads_to_equal_arrays_again_from_the_cache_and_from_a_folder_above(tmp_path, form):
    folder = tmp_path / "mine" / "a" / "b"
    folder.mkdir(parents=True)
    path = FORMS[form](folder, RAW)
    (tmp_path / "mine" / "README.md").write_text("mine")
    for place in (path, path, str(path), tmp_path / "mine"):
        fer = data.load(place)
        np.testing.assert_array_equal(fer.images, RAW.images)
        np.testing.assert_array_equal(fer.labels, RAW.labels)
        np.testing.assert_array_equal(fer.usage, RAW.usage)
        assert [str(a.dtype) for a in (fer.images, fer.labels, fer.usage)] == ["uint8", "int8", "int8"]
        assert fer.images.shape == (35, 48, 48) and fer.votes is None
        assert not fer.is_sample and fer.official_splits is True and fer.title_note == ""
    assert data.load(path).origin == str(path)


def cache_files(tmp_path):
    return list((tmp_path / "cache").glob("*"))


def test_the_cache_is_used_and_keeps_no_temporary_file(tmp_path, monkeypatch):
    path = write_csv(tmp_path)
    data.load(path)
    assert len(cache_files(tmp_path)) == 1
    monkeypatch.setattr("fer_utils.data.readers.read", None)
    assert len(data.load(path)) == 35


def pickled(file):
    np.savez(file, images=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize("damage", [
    lambda file: file.write_bytes(b"junk" * 100),
    lambda file: file.write_bytes(file.read_bytes()[:-80]),
    lambda file: file.write_bytes(file.read_bytes().replace(RAW.images[3].tobytes(), RAW.images[4].tobytes())),
    pickled,
], ids=["junk", "cut short", "other bytes", "pickled objects"])
def test_a_broken_cache_is_replaced(tmp_path, damage):
    path = write_csv(tmp_path)
    data.load(path)
    (file,) = cache_files(tmp_path)
    good = file.read_bytes()
    damage(file)
    np.testing.assert_array_equal(data.load(path).images, RAW.images)
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "file" / "cache"))
    assert len(data.load(write_csv(tmp_path))) == 35


def test_a_changed_picture_in_a_folder_is_read_again(tmp_path):
    folder = write_folder(tmp_path / "pictures", picture_files(RAW, "file"))
    assert len(data.load(folder)) == 35
    file = next(folder.glob("train/*/Training_3.png"))
    file.write_bytes(next(folder.glob("train/*/Training_4.png")).read_bytes())
    np.testing.assert_array_equal(data.load(folder).images[3], RAW.images[4])
    file.unlink()
    assert len(data.load(folder)) == 34


def test_a_changed_file_is_read_again(tmp_path):
    path = write_csv(tmp_path)
    assert len(data.load(path)) == 35
    write_csv(tmp_path, small(21))
    assert len(data.load(path)) == 21


def test_a_broken_file_is_never_cached(tmp_path):
    path = write_csv(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[:-3000])
    for _ in range(2):
        with pytest.raises(DataError, match="fer2013.csv, line"):
            data.load(path)
    path.write_bytes(good)
    assert len(data.load(path)) == 35


def test_a_folder_without_split_names_says_that_the_tests_cannot_be_told_apart(tmp_path):
    fer = data.load(write_folder(tmp_path / "pictures", picture_files(RAW, "none")))
    assert not fer.official_splits
    assert "PublicTest and PrivateTest cannot be told apart" in data.describe(fer)
    assert all((fer.usage == s).any() for s in range(3))


# --------------------------------------------------------------------------------------------------- find order


def test_find_order_argument_environment_data_folder_kaggle(tmp_path, monkeypatch):
    sizes = {"argument": 7, "environment": 8, "data": 9, "kaggle": 10}
    found = {name: write_csv(tmp_path / name, small(n)) for name, n in sizes.items()}
    attach(found["kaggle"], tmp_path, monkeypatch)
    assert len(data.load()) == 10
    monkeypatch.setattr(paths, "DATA", found["data"].parent)
    assert len(data.load()) == 9
    monkeypatch.setenv("FER_DATA", str(found["environment"]))
    assert len(data.load()) == 8
    monkeypatch.setenv("FER_DATA", str(found["environment"].parent))
    assert len(data.load()) == 8
    assert len(data.load(found["argument"])) == 7


def test_an_empty_data_folder_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("put fer2013.csv here")
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    attach(write_csv(tmp_path / "kaggle"), tmp_path, monkeypatch)
    assert len(data.load()) == 35


@pytest.mark.parametrize("place", [
    "fer2013", "datasets/msambare/fer2013", "emotion-detection-fer/images",
    "challenges-in-representation-learning-facial-expression-recognition-challenge",
    "competitions/challenges-in-representation-learning-facial-expression-recognition-challenge",
])
def test_what_is_attached_to_a_kaggle_notebook_is_found_and_left_as_it_is(tmp_path, monkeypatch, place):
    root = tmp_path / "kaggle" / "input"
    write_folder(root / "cats-and-differences" / "train" / "cat", {"1.png": b"junk"})
    write_folder(root / place, picture_files(RAW, "other"))
    monkeypatch.setattr(paths, "KAGGLE", root)
    before = sorted(root.rglob("*"))
    fer = data.load()
    np.testing.assert_array_equal(fer.images, RAW.images)
    assert not fer.is_sample and fer.official_splits
    write_folder(root / "fer2013-table", {"icml_face_data.csv": csv_text(small(21))})
    assert len(data.load()) == 21, "the table is lossless"
    assert len(sorted(root.rglob("*"))) == len(before) + 2


@pytest.mark.parametrize("named", [False, True])
def test_without_any_data_or_by_its_name_the_sample_is_loaded(tmp_path, monkeypatch, named):
    if named:
        monkeypatch.setenv("FER_DATA", "sample")
    fer = data.load()
    assert fer.is_sample and "not FER2013" in fer.title_note and "not FER2013" in data.describe(fer)


def test_a_relative_place_is_meant_from_the_projects_folder_too(tmp_path, monkeypatch):
    write_csv(tmp_path / "mine")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("FER_DATA", "mine/fer2013.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(data.load()) == 35


def test_a_named_place_that_is_missing_or_empty_is_an_error_never_the_sample(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"source must be .*nowhere does not exist"):
        data.load(tmp_path / "nowhere")
    monkeypatch.setenv("FER_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"FER_DATA must be .*nowhere does not exist"):
        data.load()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no FER2013; expected"):
        data.load(tmp_path / "empty")


# -------------------------------------------------------------------------------------------------------- votes


def test_votes_join_by_row(tmp_path):
    fer = data.load(write_csv(tmp_path), votes=write_votes(tmp_path / "votes.csv", RAW))
    assert fer.votes.shape == (35, 10) and fer.votes.dtype == np.uint8
    winners = np.array(data.classes.VOTE_CLASSES)[fer.votes[:, :7].argmax(1)]
    np.testing.assert_array_equal(winners, fer.labels)
    assert "FER+ votes: 35 images" in data.describe(fer)


def test_votes_are_found_beside_the_data_in_fer_data_in_data_and_by_fer_plus(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "a")
    assert data.load(path).votes is None and "no FER+ votes" in data.describe(data.load(path))
    for name in ("b", "c", "d"):
        (tmp_path / name).mkdir()
    file = write_votes(tmp_path / "b" / "fer2013new.csv", RAW)
    with monkeypatch.context() as context:
        context.setattr(paths, "DATA", tmp_path / "b")
        assert data.load(path).votes is not None
    with monkeypatch.context() as context:
        context.setenv("FER_DATA", str(tmp_path / "b"))
        assert data.load(path).votes is not None
    with monkeypatch.context() as context:
        context.setenv("FER_PLUS", str(file.rename(tmp_path / "c" / "any name.csv")))
        assert data.load(path).votes is not None
    write_votes(tmp_path / "a" / "FER2013new.CSV", RAW)
    assert data.load(path).votes is not None
    assert data.load(tmp_path / "a").votes is not None


@pytest.mark.parametrize("naming, joined", [("split", True), ("other", False), ("none", False)])
def test_votes_join_pictures_only_when_their_numbers_tell_the_row(tmp_path, naming, joined):
    folder = write_folder(tmp_path / "pictures", picture_files(RAW, naming))
    file = write_votes(tmp_path / "pictures" / "fer2013new.csv", RAW)
    fer = data.load(folder)
    assert (fer.votes is not None) == joined
    assert ("is not used: this copy of FER2013 does not tell each image's row" in data.describe(fer)) != joined
    if not joined:
        with pytest.raises(DataError, match="cannot be joined"):
            data.load(folder, votes=file)


def test_ferplus_own_folders_bring_their_votes_and_say_whose_the_labels_are(tmp_path):
    fer = data.load(write_folder(tmp_path / "plus", ferplus_files(RAW)))
    assert len(fer) == 32 and fer.votes.shape == (32, 10)
    assert "labels: the class with most FER+ votes, not FER2013's own label" in data.describe(fer)
    with pytest.raises(DataError, match="votes must be None for .*plus, which brings its own"):
        data.load(tmp_path / "plus", votes=write_votes(tmp_path / "votes.csv", RAW))


def other_rows():
    return small(21)


def other_usage():
    split = RAW.usage.copy()
    split[3] = 2
    return type(RAW)(RAW.images, RAW.labels, split)


def other_order():
    return type(RAW)(RAW.images, (RAW.labels + 1).astype(np.int8) % 7, RAW.usage)


@pytest.mark.parametrize("wrong, message", [
    (other_rows, "it has 21 rows, the data 35"),
    (other_usage, "its Usage differs from the data's in 1 rows, first in line 5"),
    (other_order, "its majority agrees with only 0% of the labels"),
])
def test_votes_of_another_data_set_raise_when_asked_for_and_are_noted_when_found(tmp_path, wrong, message):
    path = write_csv(tmp_path)
    file = write_votes(tmp_path / "fer2013new.csv", wrong())
    fer = data.load(path)
    assert fer.votes is None and message in data.describe(fer)
    with pytest.raises(DataError, match=message):
        data.load(path, votes=file)


def test_votes_that_do_not_exist_or_meet_the_sample(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"votes must be FER\+'s fer2013new\.csv; .*none\.csv is no file"):
        data.load(write_csv(tmp_path), votes=tmp_path / "none.csv")
    with pytest.raises(DataError, match="votes must be None for the embedded sample"):
        data.load("sample", votes=tmp_path / "none.csv")
    monkeypatch.setenv("FER_PLUS", str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match="none.csv is no file"):
        data.load(tmp_path)


# ------------------------------------------------------------------------------------------- Fer2013, leaks, copies


def test_split_take_and_counts(tmp_path):
    fer = data.load(write_csv(tmp_path), votes=write_votes(tmp_path / "v.csv", RAW))
    public = fer.split("PublicTest")
    np.testing.assert_array_equal(public.images, RAW.images[RAW.usage == 1])
    np.testing.assert_array_equal(public.votes, fer.votes[RAW.usage == 1])
    assert len(fer.take(np.zeros(35, bool))) == 0
    np.testing.assert_array_equal(fer.take(np.array([5, 1])).images, RAW.images[[5, 1]])
    counts = fer.counts()
    assert counts.shape == (3, 7) and counts.sum() == 35
    assert counts[1, 3] == ((RAW.usage == 1) & (RAW.labels == 3)).sum()
    with pytest.raises(ValueError, match="split"):
        fer.split("test")


def pictures(*kinds: int) -> np.ndarray:
    """Images that are equal where their kinds are; kind 0 is blank."""
    images = np.stack([np.random.default_rng(kind).integers(0, 256, (48, 48)) for kind in kinds]).astype(np.uint8)
    images[np.array(kinds) == 0] = 0
    return images


def test_images_that_are_in_a_test_split_too_are_not_trained_on():
    #            train  train train  train public private private train
    kinds = pictures(1, 2, 2, 3, 3, 4, 1, 0)
    fer = make(kinds, [0, 1, 2, 3, 3, 4, 0, 5], [0, 0, 0, 0, 1, 2, 2, 0])
    np.testing.assert_array_equal(data.training_indices(fer), [1, 2, 7])


def test_one_changed_pixel_is_another_image():
    images = pictures(1, 1)
    images[1, 47, 47] ^= 1
    assert data.training_indices(make(images, [0, 0], [0, 2])).tolist() == [0]


def test_hashes_are_the_same_on_every_machine():
    images = np.stack([np.zeros((48, 48), np.uint8), np.arange(2304).reshape(48, 48).astype(np.uint8)])
    assert data.image_hashes(images).tolist() == HASHES
    assert data.image_hashes(images[:, ::-1][:, ::-1]).tolist() == HASHES  # whatever the memory layout
    assert data.image_hashes(images[:0]).shape == (0,)


HASHES = [2249671168672059275, 8432570197447057828]


# ---------------------------------------------------------------------------------------------------- real data

COUNTS = [[3995, 436, 4097, 7215, 4830, 3171, 4965],
          [467, 56, 496, 895, 653, 415, 607],
          [491, 55, 528, 879, 594, 416, 626]]
FIRST_LABELS = [0, 0, 2, 4, 6, 2, 4, 3, 3, 2]


@pytest.mark.real_data
def test_real_data_holds_the_published_counts(real_data):
    assert len(real_data) == 35_887 and not real_data.is_sample and real_data.official_splits
    assert real_data.counts().tolist() == COUNTS
    assert real_data.counts().sum(0)[3] == 8989


@pytest.mark.real_data
def test_real_data_trains_on_28011_images(real_data):
    if Path(real_data.origin).is_dir() or not (real_data.labels[:10] == FIRST_LABELS).all():
        pytest.skip("pictures stored as JPEG are not exact")
    assert real_data.images[0].ravel()[:5].tolist() == [70, 80, 82, 72, 58]
    assert len(data.training_indices(real_data)) == 28_011
    assert len(np.unique(data.image_hashes(real_data.images))) == 34_036


@pytest.mark.real_data
def test_real_votes_agree_with_the_labels_on_63_percent(real_data):
    if real_data.votes is None:
        pytest.skip("needs FER+: set FER_PLUS to fer2013new.csv")
    winners = np.array(data.classes.VOTE_CLASSES)[real_data.votes[:, :7].argmax(1)]
    assert (winners == real_data.labels).mean() == pytest.approx(0.63, abs=0.03)


@pytest.mark.real_data
def test_real_data_loads_within_its_time(real_data):
    # The processor's time, so that a busy machine does not fail the test; on a quiet one it is the clock's.
    started = time.process_time()
    data.load(real_data.origin)
    parsed = time.process_time()
    data.load(real_data.origin)
    again = time.process_time()
    # The bar of 10 s is for the plain CSV; xz alone takes five.
    assert parsed - started < (10 if real_data.origin.endswith(".csv") else 25)
    assert again - parsed < 0.5


def test_majority_is_a_class_that_more_than_half_of_the_voters_name():
    votes = np.zeros((5, 10), np.uint8)
    votes[0, [1, 0]] = 6, 4  # happiness
    votes[1, [1, 0]] = 5, 5
    votes[2, 9] = 10  # not a face
    votes[3, [4, 7]] = 6, 4  # anger, contempt
    assert data.majority_vote(votes).tolist() == [3, -1, -1, 0, -1]
