"""Reading files: harmless variations of the CSV, archives, folders; what is broken is named with file and line."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import tarfile

import numpy as np
import pytest
from fer_forms import (
    VOTE_OF_CLASS,
    csv_text,
    ferplus_files,
    icml_text,
    parquet_files,
    picture_files,
    png,
    rows,
    small,
    write_folder,
    write_parquet,
    write_tar,
    write_votes,
    write_zip,
)
from PIL import Image

from fer_utils.data import CLASSES, DataError
from fer_utils.data.readers import contents, read, read_votes

RAW = small()
TEXT = csv_text(RAW)
FILES = picture_files(RAW, "other")
ONE = next(iter(FILES))


def same(loaded, raw=RAW) -> None:
    for name in ("images", "labels", "usage"):
        got, want = getattr(loaded, name), getattr(raw, name)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def written(folder, content: bytes, name: str = "fer2013.csv"):
    (folder / name).write_bytes(content)
    return folder / name


# ---------------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("change", [
    lambda text: text.rstrip(b"\n"),
    lambda text: text.replace(b"\n", b"\n\n"),
    lambda text: text.replace(b" ", b"  "),
    lambda text: text.replace(b",", b" , "),
    lambda text: text.replace(b",0 1 2 3 ", b",000 01 2 0003 "),
    lambda text: text.replace(b"Training", b'"Training"'),
], ids=["no last newline", "blank lines", "double spaces", "spaced cells", "leading zeros", "quotes"])
def test_harmless_variations_read_the_same(tmp_path, change):
    same(read(written(tmp_path, change(TEXT))))


def test_one_sample_and_one_more_than_are_parsed_at_once(tmp_path):
    for n in (1, 513):
        raw = small(n, seed=n)
        same(read(written(tmp_path, csv_text(raw))), raw)


def changed(row: int, old: str, new: str) -> bytes:
    """The CSV with `old` replaced once in data row `row`."""
    lines = TEXT.decode().splitlines()
    assert old in lines[row + 1]
    lines[row + 1] = lines[row + 1].replace(old, new, 1)
    return ("\n".join(lines) + "\n").encode()


FIRST = ",0 1 2 3 4 "  # row 0 begins so
BAD = {
    "2303 pixels": (changed(0, FIRST, ",1 2 3 4 "), r"line 2 \(row 0.*2303 pixels, expected 2304"),
    "no pixels": (changed(0, TEXT.decode().splitlines()[1], "0,,Training"), r"line 2 .*0 pixels"),
    "256": (changed(0, FIRST, ",0 1 256 3 4 "), r"line 2 .*pixel 2 is '256'.*0 to 255"),
    "2 ** 64 + 3": (changed(0, FIRST, f",0 1 2 {2 ** 64 + 3} 4 "), r"pixel 3 is '18446744073709551619'"),
    "negative": (changed(0, FIRST, ",0 -1 2 3 4 "), r"line 2 .*pixel 1 is '-1'"),
    "a word": (changed(29, " 9", " nine"), r"line 31 .*pixel \d+ is 'nine"),
    "other digits": (changed(0, FIRST, ",0 1 ² 3 4 "), r"pixel 2 is '²'"),
    "unknown label": (changed(9, "2,", "7,"), r"line 11 \(row 9.*unknown label '7', expected one of 0, 1"),
    "unknown Usage": (changed(12, "Training", "Train"), r"line 14 \(row 12.*unknown Usage 'Train'.*PrivateTest"),
    "extra column": (changed(4, ",Training", ",Training,1"), r"line 6 .*1 values too many, expected 3"),
    "extra column at the start": (changed(0, ",Training", ",Training,1"), r"line 2 .*1 values too many"),
    "no pixels column": (TEXT.replace(b"pixels", b"pixel"), r"emotion,pixels,Usage .*'pixels'"),
    "no Usage column": (TEXT.replace(b"Usage", b"Use"), r"emotion,pixels,Usage .*'usage'"),
    "cut in a row": (TEXT[:40_000], r"line 6 \(row 4.*cut short"),
    "header only": (b"emotion,pixels,Usage\n", r"no rows"),
    "binary": (bytes(range(256)) * 50, r"emotion,pixels,Usage"),
    "one endless line": (b"emotion,pixels,Usage\n" + b"0 " * 100_000, r"emotion,pixels,Usage .*field limit"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_rows_name_file_line_and_what_was_expected(tmp_path, content, message):
    with pytest.raises(DataError, match=r"fer2013\.csv.*" + message):
        read(written(tmp_path, content))


def test_a_bad_row_late_in_a_compressed_file_is_named_by_its_line_blank_lines_counted(tmp_path):
    lines = csv_text(small(600, seed=1)).decode().splitlines()
    lines[551] = "\n" + lines[551].replace(" ", " 300 ", 1)
    with pytest.raises(DataError, match=r"line 553 \(row 550"):
        read(written(tmp_path, gzip.compress("\n".join(lines).encode()), "fer2013.csv.gz"))


def test_two_rows_whose_pixels_add_up_are_still_wrong(tmp_path):
    first, second = TEXT.decode().splitlines()[1:3]
    one, rest = first.split(",")[1].split(" ", 1)
    content = TEXT.decode().replace(first, f"0,{rest},Training").replace(second, second.replace("1,", f"1,{one} ", 1))
    with pytest.raises(DataError, match=r"line 2 .*2303 pixels"):
        read(written(tmp_path, content.encode()))


# -------------------------------------------------------------------------------------------------------- votes


def test_votes_read_in_ferplus_order(tmp_path):
    path = write_votes(tmp_path / "fer2013new.csv", RAW)
    votes, usage = read_votes(path).values()
    assert votes.shape == (30, 10) and votes.dtype == np.uint8 and usage.dtype == np.int8
    np.testing.assert_array_equal(usage, RAW.usage)
    np.testing.assert_array_equal(votes[3], [0, 8, 0, 0, 0, 0, 0, 2, 0, 0])  # row 3 is Happy
    packed = written(tmp_path, lzma.compress(path.read_bytes()), "votes.csv.xz")
    np.testing.assert_array_equal(read_votes(packed)["votes"], votes)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("NF", "none", "NF"),
    ("Usage", "Use", "Usage"),
    ("fer0000003.png,0,8", "fer0000003.png,0,eight", "line 5"),
    ("fer0000003.png,0,8", "fer0000003.png,0,256", "line 5"),
    ("Training,fer0000003", "Train,fer0000003", "line 5"),
    ("fer0000003.png,0,8,0,0,0,0,0,2,0,0", "fer0000003.png,0,8", "line 5"),
])
def test_bad_votes_name_the_line(tmp_path, old, new, message):
    file = write_votes(tmp_path / "fer2013new.csv", RAW)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_votes(file)


def test_what_is_no_csv(tmp_path):
    for content in (b"", b"\xff\xfe\x00\x01"):
        for reader in (read_votes, read):
            with pytest.raises(DataError, match="v.csv"):
                reader(written(tmp_path, content, "v.csv"))


# ------------------------------------------------------------------------------------------ archives and folders


def test_the_whole_wins_over_its_parts(tmp_path):
    (tmp_path / "test.csv").write_bytes(b"pixels\n")
    (tmp_path / "train.csv").write_bytes(b"emotion,pixels\n")
    (tmp_path / "fer2013new.csv").write_bytes(b"Usage\n")
    write_tar(tmp_path / "fer2013.tar.gz", {"fer2013/fer2013.csv": csv_text(small(5))})
    assert contents(tmp_path).name == "fer2013.tar.gz"
    (tmp_path / "fer2013.csv").write_bytes(TEXT)
    assert contents(tmp_path).name == "fer2013.csv"


def test_kaggle_competition_zip_takes_the_whole_table(tmp_path):
    same(read(write_zip(tmp_path / "challenges-in-representation-learning.zip", {
        "test.csv": b"pixels\n", "train.csv": b"emotion,pixels\n", "icml_face_data.csv": icml_text(RAW),
        "example_submission.csv": b"emotion\n"})))


def test_train_csv_says_what_to_take(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv: .*'usage'.*icml_face_data\.csv"):
        read(written(tmp_path, b"emotion,pixels\n0,1 2 3\n", "train.csv"))


def test_pictures_without_split_names_are_dealt_half_and_half(tmp_path):
    raw = small(140)
    loaded = read(write_folder(tmp_path, picture_files(raw, "none")))
    assert not loaded.official_splits and not loaded.official_order
    np.testing.assert_array_equal(loaded.images, raw.images)  # the numbers still tell the order
    np.testing.assert_array_equal(loaded.usage == 0, raw.usage == 0)
    for label in range(7):
        public, private = (((loaded.usage == s) & (loaded.labels == label)).sum() for s in (1, 2))
        assert public >= 3 and 0 <= public - private <= 1
    np.testing.assert_array_equal(read(tmp_path).usage, loaded.usage)


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


def test_class_order_is_fer2013s_not_alphabetical(tmp_path):
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


@pytest.mark.parametrize("folder", ["validation", "val", "valid"])
def test_validation_and_test_are_the_two_test_splits_only_side_by_side(tmp_path, folder):
    files = {name.replace("validation", folder): content for name, content in picture_files(RAW, "folders").items()}
    loaded = read(write_folder(tmp_path / "both", files))
    same(loaded)
    assert loaded.official_splits
    alone = read(write_folder(tmp_path / "one", {name: files[name] for name in files if not name.startswith("test")}))
    assert not alone.official_splits and abs((alone.usage == 1).sum() - (alone.usage == 2).sum()) <= 7
    # A file's name wins over its folder's.
    swapped = {f"test/fear/PublicTest_{10 * i}.png": png(image) for i, image in enumerate(RAW.images[:3])}
    swapped |= {f"{folder}/fear/PrivateTest_{10 * i}.png": png(image) for i, image in enumerate(RAW.images[3:7])}
    loaded = read(write_folder(tmp_path / "named", swapped))
    assert loaded.usage.tolist() == [1] * 3 + [2] * 4 and loaded.official_splits
    np.testing.assert_array_equal(loaded.images, RAW.images[:7])


LEFTOVERS = [
    f"__MACOSX/{ONE}", "__MACOSX/._fer2013.csv", f"{ONE.rpartition('/')[0]}/.ipynb_checkpoints/im1-checkpoint.png",
    f"{ONE.rpartition('/')[0]}/._im1.png", ".git/fer2013.csv", "train/Thumbs.db", "train/angry/desktop.ini",
]


@pytest.mark.parametrize("write", [
    lambda place, files: write_folder(place, files), lambda place, files: write_zip(place / "archive.zip", files),
    lambda place, files: write_tar(place / "fer2013.tar", files),
], ids=["folder", "zip", "tar"])
def test_what_macos_jupyter_and_windows_leave_behind_is_passed_over(tmp_path, write):
    path = write(tmp_path, {**FILES, **dict.fromkeys(LEFTOVERS, b"junk")})
    np.testing.assert_array_equal(read(path).images, RAW.images)
    assert contents(tmp_path) == path


@pytest.mark.parametrize(("factor", "name"), [(257, "16 bits"), (256, "shifted"), (1, "8 bits in 16")])
def test_16_bit_pictures_are_scaled_not_clipped(tmp_path, factor, name):
    deep = RAW.images[0].astype(np.uint16) * factor
    loaded = read(write_folder(tmp_path, {"train/happy/Training_0.png": png(deep)}))
    np.testing.assert_array_equal(loaded.images[0], RAW.images[0], err_msg=name)


# ----------------------------------------------------------------------------------------------- Parquet, FER+ folders


def hugging_face(folder, raw):
    return parquet_files(folder, raw)


def converted_by_hugging_face(folder, raw):
    """As its converter names files: default/<split>/0000.parquet; the splits as Kaggle's competition calls them."""
    parquet_files(folder, raw, ("train", "publicTest", "privateTest"))
    for file in list((folder / "data").iterdir()):
        target = folder / "default" / file.name.partition("-")[0] / "0000.parquet"
        target.parent.mkdir(parents=True)
        file.rename(target)
    return folder


def pandas_copy(folder, raw):
    emotion, pixels, usage = zip(*rows(raw), strict=True)
    columns = {"emotion": list(map(int, emotion)), "pixels": pixels, "Usage": usage}
    return write_parquet(folder / "fer2013.parquet", columns)


def names_and_lists(folder, raw):
    return write_parquet(folder / "fer.parquet", {
        "image": raw.images.tolist(), "label": [CLASSES[label].lower() for label in raw.labels],
        "split": [("train", "validation", "test")[split] for split in raw.usage]})


@pytest.mark.parametrize("write", [hugging_face, converted_by_hugging_face, pandas_copy, names_and_lists])
def test_parquet_files(tmp_path, write):
    pytest.importorskip("pyarrow")
    path = write(tmp_path, RAW)
    for place in {path, tmp_path}:
        loaded = read(contents(place))
        same(loaded)
        assert loaded.official_splits and loaded.official_order
    archive = write_zip(tmp_path / "archive.zip", {f.relative_to(tmp_path).as_posix(): f.read_bytes()
                                                   for f in tmp_path.rglob("*.parquet")})
    same(read(archive))


def test_parquet_whose_classes_or_splits_are_unknown_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    columns = {"label": [0], "image": [png(RAW.images[0])]}
    with pytest.raises(DataError, match="column label holds numbers .* call it emotion"):
        read(write_parquet(tmp_path / "train.parquet", columns))
    with pytest.raises(DataError, match="fer.parquet, row 0 .*Usage or a file name with train"):
        read(write_parquet(tmp_path / "fer.parquet", columns, ["angry"]))
    with pytest.raises(DataError, match="train.parquet: must have columns emotion and pixels .* has label"):
        read(write_parquet(tmp_path / "train.parquet", {"label": [0]}))
    path = pandas_copy(tmp_path, RAW)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="fer2013.parquet: not a complete Parquet file"):
        read(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"train\.parquet: .*pip install pyarrow"):
        read(written(tmp_path, b"PAR1 and so on", "train.parquet"))


@pytest.mark.parametrize("nested", [False, True])
def test_ferplus_own_folders_are_labelled_by_its_votes(tmp_path, nested):
    files = ferplus_files(RAW)
    if nested:  # as some copies have it
        files = {("Labels/" if name.endswith("csv") else "Images/") + name: content for name, content in files.items()}
    loaded = read(contents(write_folder(tmp_path, files)))
    faces = np.append(RAW.usage[1:] == RAW.usage[:-1], False)  # the last of each split is no face
    np.testing.assert_array_equal(loaded.images, RAW.images[faces])
    np.testing.assert_array_equal(loaded.labels, RAW.labels[faces])
    np.testing.assert_array_equal(loaded.usage, RAW.usage[faces])
    assert loaded.official_splits and loaded.votes.dtype == np.uint8
    assert loaded.votes.argmax(1).tolist() == [VOTE_OF_CLASS[label] for label in loaded.labels]


def test_ferplus_folders_that_are_incomplete_are_named(tmp_path):
    files = ferplus_files(RAW)
    with pytest.raises(DataError, match="holds no FER2013"):
        read(write_folder(tmp_path / "lists", {name: files[name] for name in files if name.endswith("csv")}))
    files["FER2013Valid/label.csv"] = b'fer0000001.png,"(0, 0, 48, 48)",1,2\n'
    with pytest.raises(DataError, match=r"FER2013Valid/label\.csv: not a row of FER\+: fer0000001"):
        read(write_folder(tmp_path / "row", files))


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("write, name", [(write_zip, "fer2013.zip"), (write_tar, "fer2013.tar.gz")])
def test_archive_members_that_point_outside_are_not_unpacked_there(tmp_path, write, name):
    (tmp_path / "a").mkdir()
    same(read(write(tmp_path / "a" / name, {"../evil.png": b"junk", "../fer2013/fer2013.csv": TEXT})))
    assert [p.name for p in tmp_path.rglob("*")] == ["a", name]


def test_a_link_in_a_tar_is_not_followed(tmp_path):
    (tmp_path / "secret.csv").write_bytes(TEXT)
    with tarfile.open(tmp_path / "fer2013.tar", "w") as archive:
        link = tarfile.TarInfo("fer2013.csv")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.csv")
        archive.addfile(link)
    with pytest.raises(DataError, match="holds no FER2013"):
        read(tmp_path / "fer2013.tar")


COMPLETE = {
    "fer2013.csv.gz": lambda p: p.write_bytes(gzip.compress(TEXT)),
    "fer2013.csv.xz": lambda p: p.write_bytes(lzma.compress(TEXT)),
    "fer2013.zip": lambda p: write_zip(p, {"fer2013.csv": TEXT}),
    "fer2013.tar.gz": lambda p: write_tar(p, {"fer2013/fer2013.csv": TEXT}),
    "fer2013.tar.xz": lambda p: write_tar(p, {"fer2013/fer2013.csv": TEXT}),
    "fer2013.tar": lambda p: write_tar(p, {"fer2013/fer2013.csv": TEXT}),
    "archive.zip": lambda p: write_zip(p, FILES),
    "fer2013-pictures.tar.gz": lambda p: write_tar(p, FILES),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_truncated_and_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    COMPLETE[name](path)
    whole = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=name):
            read(path)
    if name != "fer2013.tar":  # it has no checksum
        half = len(whole) // 2
        path.write_bytes(whole[:half] + bytes([whole[half] ^ 0xFF]) + whole[half + 1 :])
        with pytest.raises(DataError, match=name):
            read(path)


def huge() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (9000, 9000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("content, message, packed", [
    (png(RAW.images[1])[:700], "unreadable picture", False),
    (png(np.zeros((50, 48), np.uint8)), "48 × 50, expected 48 × 48", True),
    (huge(), "9000 × 9000", False),  # refused before it is decoded
])
def test_unreadable_pictures_are_named(tmp_path, content, message, packed):
    files = {**FILES, ONE: content}
    path = write_zip(tmp_path / "archive.zip", files) if packed else write_folder(tmp_path, files)
    with pytest.raises(DataError, match=message) as error:
        read(path)
    assert ONE in str(error.value)


@pytest.mark.parametrize("name, message", [
    ("train/contempt/Training_1.png", "train/contempt/Training_1.png; expected .*angry"),
    ("Training_1.png", "Training_1.png; expected .*angry"),
    ("angry/1.png", "angry/1.png; expected train/"),
    ("holidays/beach.png", r"holds no FER2013; expected fer2013\.csv"),
])
def test_pictures_in_the_wrong_place_are_named(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        read(write_folder(tmp_path, {name: png(RAW.images[0])}))


@pytest.mark.parametrize("make", [
    lambda p: (p / "train" / "angry").mkdir(parents=True), lambda p: write_zip(p, {"README.md": b"hello"}),
    lambda p: write_tar(p, {}),
], ids=["folder", "zip", "tar"])
def test_empty_places_hold_no_fer2013(tmp_path, make):
    make(tmp_path / "empty.tar")
    with pytest.raises(DataError, match="empty.tar.* holds no FER2013"):
        read(tmp_path / "empty.tar")
