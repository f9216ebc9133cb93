from __future__ import annotations

import gzip
import io
import lzma
import tarfile

import numpy as np
import pytest
from fer_forms import FORMS, csv_text, picture_files, png, small, test_text, write_folder, write_tar, write_zip
from PIL import Image

from fer_utils.data import DataError
from fer_utils.data.readers import contents, read

RAW = small()
FILES = picture_files(RAW, "other")
ONE = next(iter(FILES))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_loads_to_the_same_arrays(tmp_path, form):
    loaded = read(FORMS[form](tmp_path, RAW))
    for name in ("images", "labels", "split"):
        got, want = getattr(loaded, name), getattr(RAW, name)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    assert loaded.official_splits
    assert loaded.official_order == (form not in ("pictures, as on Kaggle", "pictures in a zip"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("below", ["", "fer2013", "a/b"])
def test_every_form_is_found_in_a_folder(tmp_path, form, below):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    FORMS[form](folder, RAW)
    (tmp_path / "README.md").write_text("mine")
    np.testing.assert_array_equal(read(tmp_path).images, RAW.images)


def test_the_whole_wins_over_its_parts(tmp_path):
    (tmp_path / "test.csv").write_bytes(test_text(small(4)))
    (tmp_path / "train.csv").write_bytes(b"emotion,pixels\n")
    (tmp_path / "fer2013new.csv").write_bytes(b"Usage\n")
    write_tar(tmp_path / "fer2013.tar.gz", {"fer2013/fer2013.csv": csv_text(small(5))})
    assert contents(tmp_path).name == "fer2013.tar.gz"
    (tmp_path / "fer2013.csv").write_bytes(csv_text(RAW))
    assert contents(tmp_path).name == "fer2013.csv"


def test_kaggle_competition_zip_takes_the_whole_table(tmp_path):
    from fer_forms import icml_text

    path = write_zip(tmp_path / "challenges-in-representation-learning.zip", {
        "test.csv": test_text(small(4)), "train.csv": b"emotion,pixels\n", "icml_face_data.csv": icml_text(RAW),
        "example_submission.csv": b"emotion\n"})
    np.testing.assert_array_equal(read(path).images, RAW.images)


def test_unlabelled_test_csv_alone_in_a_folder(tmp_path):
    (tmp_path / "test.csv").write_bytes(test_text(RAW))
    loaded = read(tmp_path)
    assert set(loaded.labels) == {-1} and not loaded.official_splits


def test_train_csv_alone_says_what_to_take(tmp_path):
    (tmp_path / "train.csv").write_bytes(b"emotion,pixels\n0,1 2 3\n")
    (tmp_path / "test.csv").write_bytes(test_text(RAW))
    with pytest.raises(DataError, match=r"train\.csv: no column 'Usage'.*take icml_face_data\.csv"):
        read(tmp_path)


def test_pictures_without_split_names_are_dealt_half_and_half(tmp_path):
    raw = small(140)
    loaded = read(write_folder(tmp_path, picture_files(raw, "none")))
    assert not loaded.official_splits and not loaded.official_order
    np.testing.assert_array_equal(loaded.images, raw.images)  # the numbers still tell the order
    np.testing.assert_array_equal(loaded.usage == 0, raw.usage == 0)
    for label in range(7):
        public, private = (((loaded.usage == s) & (loaded.labels == label)).sum() for s in (1, 2))
        assert public >= 3 and 0 <= public - private <= 1
    again = read(tmp_path)
    np.testing.assert_array_equal(again.usage, loaded.usage)


def test_class_folders_by_number_and_pictures_in_colour(tmp_path):
    def rgb(image):
        stream = io.BytesIO()
        Image.fromarray(np.repeat(image[..., None], 3, 2)).save(stream, "PNG")
        return stream.getvalue()

    files = {f"Training/{label}/{row}.png": rgb(image)
             for row, (image, label) in enumerate(zip(RAW.images, RAW.labels, strict=True))}
    loaded = read(write_folder(tmp_path, files))
    np.testing.assert_array_equal(loaded.images, RAW.images)
    np.testing.assert_array_equal(loaded.labels, RAW.labels)


def test_class_order_is_ferplus_and_csv_order_not_alphabetical(tmp_path):
    loaded = read(write_folder(tmp_path, {"train/neutral/Training_0.png": png(RAW.images[0]),
                                          "train/sad/Training_1.png": png(RAW.images[1])}))
    assert loaded.labels.tolist() == [6, 4]


def test_jpeg_pictures_load(tmp_path):
    stream = io.BytesIO()
    flat = np.full((48, 48), 90, np.uint8)
    Image.fromarray(flat).save(stream, "JPEG")
    loaded = read(write_folder(tmp_path, {"test/fear/PrivateTest_88305.jpg": stream.getvalue()}))
    np.testing.assert_array_equal(loaded.images[0], flat)
    assert (loaded.labels[0], loaded.usage[0]) == (2, 2)


def test_macos_leftovers_in_a_zip_are_passed_over(tmp_path):
    path = write_zip(tmp_path / "archive.zip", {**FILES, f"__MACOSX/{ONE}": b"junk", "__MACOSX/._fer2013.csv": b"junk"})
    np.testing.assert_array_equal(read(path).images, RAW.images)


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("member", ["../fer2013.csv", "a/../../fer2013.csv", "/etc/fer2013.csv", "C:/fer2013.csv",
                                    "..\\fer2013.csv", "\\fer2013.csv"])
@pytest.mark.parametrize("write, name", [(write_zip, "fer2013.zip"), (write_tar, "fer2013.tar.gz")])
def test_archive_members_that_point_outside_are_refused(tmp_path, member, write, name):
    path = write(tmp_path / name, {"fer2013.csv": csv_text(RAW), member: csv_text(RAW)})
    with pytest.raises(DataError, match=rf"{name}: refused, its member"):
        read(path)


def test_a_link_in_a_tar_is_not_followed(tmp_path):
    (tmp_path / "secret.csv").write_bytes(csv_text(RAW))
    with tarfile.open(tmp_path / "fer2013.tar", "w") as archive:
        link = tarfile.TarInfo("fer2013.csv")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.csv")
        archive.addfile(link)
    with pytest.raises(DataError, match="holds no FER2013"):
        read(tmp_path / "fer2013.tar")


COMPLETE = {
    "fer2013.csv.gz": lambda p: p.write_bytes(gzip.compress(csv_text(RAW))),
    "fer2013.csv.xz": lambda p: p.write_bytes(lzma.compress(csv_text(RAW))),
    "fer2013.zip": lambda p: write_zip(p, {"fer2013.csv": csv_text(RAW)}),
    "fer2013.tar.gz": lambda p: write_tar(p, {"fer2013/fer2013.csv": csv_text(RAW)}),
    "fer2013.tar.xz": lambda p: write_tar(p, {"fer2013/fer2013.csv": csv_text(RAW)}),
    "fer2013.tar": lambda p: write_tar(p, {"fer2013/fer2013.csv": csv_text(RAW)}),
    "archive.zip": lambda p: write_zip(p, FILES),
    "fer2013-pictures.tar.gz": lambda p: write_tar(p, FILES),
}


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", COMPLETE)
def test_truncated_files_are_named(tmp_path, name, share):
    path = tmp_path / name
    COMPLETE[name](path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=name):
        read(path)


@pytest.mark.parametrize("name", ["fer2013.csv.gz", "fer2013.csv.xz", "fer2013.zip", "fer2013.tar.gz"])
def test_a_flipped_byte_in_an_archive_is_noticed(tmp_path, name):
    path = tmp_path / name
    COMPLETE[name](path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=name):
        read(path)


@pytest.mark.parametrize("content, message", [
    (b"", "unreadable picture"),
    (b"not a picture", "unreadable picture"),
    (png(RAW.images[1])[:700], "unreadable picture"),
    (png(np.zeros((50, 48), np.uint8)), "48 × 50, expected 48 × 48"),
])
@pytest.mark.parametrize("packed", [False, True])
def test_unreadable_pictures_are_named(tmp_path, content, message, packed):
    files = {**FILES, ONE: content}
    path = write_zip(tmp_path / "archive.zip", files) if packed else write_folder(tmp_path, files)
    with pytest.raises(DataError, match=message) as error:
        read(path)
    assert ONE in str(error.value)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    stream = io.BytesIO()
    Image.new("L", (9000, 9000)).save(stream, "PNG")
    with pytest.raises(DataError, match="9000 × 9000"):
        read(write_folder(tmp_path, {"train/sad/Training_0.png": stream.getvalue()}))


@pytest.mark.parametrize("name, message", [
    ("train/contempt/Training_1.png", "unknown class folder 'contempt'"),
    ("train/contempt/1.png", "unknown class folder 'contempt'"),
    ("Training_1.png", "unknown class folder"),
    ("angry/1.png", "neither train/ nor test/"),
])
def test_pictures_in_the_wrong_place_are_named(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        read(write_folder(tmp_path, {name: png(RAW.images[0])}))


def test_a_folder_with_other_peoples_pictures_holds_no_fer2013(tmp_path):
    with pytest.raises(DataError, match=r"holds no FER2013; expected fer2013\.csv"):
        read(write_folder(tmp_path, {"holidays/beach.png": png(RAW.images[0])}))


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: (p / "train" / "angry").mkdir(parents=True),
                                  lambda p: write_folder(p, {"README.md": b"hello"})])
def test_empty_folders(tmp_path, make):
    make(tmp_path / "empty")
    with pytest.raises(DataError, match="empty: holds no FER2013"):
        read(tmp_path / "empty")


@pytest.mark.parametrize("write, name", [(write_zip, "fer2013.zip"), (write_tar, "fer2013.tar.gz")])
def test_empty_archives(tmp_path, write, name):
    with pytest.raises(DataError, match="holds no FER2013"):
        read(write(tmp_path / name, {}))


def test_what_does_not_exist(tmp_path):
    with pytest.raises(DataError, match="nothing.csv: does not exist"):
        read(tmp_path / "nothing.csv")
