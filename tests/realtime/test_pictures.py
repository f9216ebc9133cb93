"""Pictures in, annotated pictures out: which files count, how they are read and named, what is said of the rest."""

import csv
import io
import os

import cv2
import numpy as np
import pytest
import realtime_tools as tools
from PIL import Image

from fer_utils.realtime import Settings, run
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.pictures import PictureSink
from fer_utils.realtime.sinks import SinkError
from fer_utils.realtime.sources import SourceError

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250
PORTRAIT = tools.portrait()[:200, :300]
TURNED = Image.Exif()
TURNED[274] = 6  # "turn me clockwise"


def is_red(image: np.ndarray) -> bool:
    red, green, blue = image.reshape(-1, 3).mean(0)
    return red > 200 and green < 60 and blue < 60


def encoded(kind: str, mode: str = "RGB", image: np.ndarray = PORTRAIT, **options) -> bytes:
    picture, target = Image.fromarray(image), io.BytesIO()
    if "exif" in options:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    picture.convert(mode).save(target, kind, **options)
    return target.getvalue()


def png16() -> bytes:
    return cv2.imencode(".png", PORTRAIT[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes()


def rows_of(path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- in --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "apart"),
    [
        ("a.JPG", encoded("JPEG", exif=TURNED), 4), ("b.jfif", encoded("JPEG", exif=TURNED), 4),
        ("c.jpe", encoded("JPEG", "CMYK"), 4), ("no suffix", encoded("PNG"), 0), ("d.gif", encoded("GIF", "P"), 20),
        ("e.PGM", encoded("PPM", "L"), 30), ("f.png", encoded("PNG", "RGBA"), 0), ("g.png", png16(), 0),
        ("h.txt", encoded("WEBP", "RGBA", exif=TURNED), 4), ("i.tif", encoded("TIFF", exif=TURNED), 0),
        ("j.avif", encoded("AVIF", exif=TURNED), 4), ("k.mp4", encoded("BMP"), 0), ("l.png", encoded("PNG", "LA"), 30),
    ],
)  # fmt: skip
def test_a_picture_is_known_by_its_content_alone_and_in_a_folder(tmp_path, name, content, apart):
    (tmp_path / name).write_bytes(content)
    for source in (tmp_path / name, tmp_path):
        with open_source(source) as opened:
            (frame,) = opened
        assert (opened.still, frame.name, frame.image.shape) == (True, name, PORTRAIT.shape)
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - PORTRAIT).mean() <= apart


def test_pictures_are_rgb_and_named(tmp_path):
    for name in ("b.png", "a ä.png"):
        cv2.imencode(".png", RED[:, :, ::-1])[1].tofile(tmp_path / name)
    with open_source(tmp_path) as source:
        frames = list(source)
    assert [(frame.name, frame.index) for frame in frames] == [("a ä.png", 0), ("b.png", 1)]
    assert all(is_red(frame.image) for frame in frames)


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    (tmp_path / "good.png").write_bytes(encoded("PNG"))
    (tmp_path / "cut.jpg").write_bytes(encoded("JPEG")[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not meant")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "more").mkdir()
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["good.png"]
    assert {name: reason.split(",")[0] for name, reason in source.left_out.items()} == {
        "cut.jpg": "damaged", "empty.jpg": "not a picture (0 bytes)", "gone.jpg": "not a file",
        "notes.txt": "not a picture (9 bytes)", "phone.heic": "damaged", "pipe": "not a file",
    }  # fmt: skip
    assert "pillow-heif" in source.left_out["phone.heic"]
    assert [note.split(" in ")[0] for note in source.notes] == ["1 folders"]


def test_folders_without_a_picture(tmp_path):
    with pytest.raises(SourceError, match="folder.* holds no picture"):
        open_source(tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"no picture .*not a picture \(10 bytes\)"):
        list(open_source(tmp_path))


@pytest.fixture
def album(tmp_path):
    """Pictures in nested folders, a video, and what is none of both."""
    for name in ("a.png", "one/a.png", "one/deep/b.png", "two/[1].png", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(encoded("PNG"))
    (tmp_path / "two" / "notes.txt").write_text("no picture")
    tools.write_video(tmp_path / "two" / "talk.mp4", [RED] * 3)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "options", "found"),
    [
        (["."], {}, ["a.png"]),
        (["."], {"recursive": True, "without": "out"}, ["a.png", "one/a.png", "one/deep/b.png", "two/[1].png"]),
        (["**/a.png"], {}, ["a.png", "one/a.png", "out/a.png"]),
        (["two/[1].png"], {}, ["[1].png"]),
        (["one", "one/a.png", "two/[1].png", "one/deep/*"], {}, ["one/a.png", "two/[1].png", "one/deep/b.png"]),
        (["two/talk.mp4", "two/notes.txt", "a.png"], {}, ["a.png", "two/talk.mp4", "two/talk.mp4", "two/talk.mp4"]),
    ],
)
def test_several_sources_folders_and_patterns(album, monkeypatch, names, options, found):
    monkeypatch.chdir(album)
    options |= {"without": album / options["without"]} if "without" in options else {}
    with open_source(names, **options) as source:
        assert [frame.name for frame in source] == found
    assert ("two/notes.txt" in source.left_out) == ("two/notes.txt" in names or "recursive" in options)
    with pytest.raises(SourceError, match="there is no file .*nothing"):
        open_source([*names, "nothing"])


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (PORTRAIT, 1), (PORTRAIT[:, :, 0], 1), ([PORTRAIT], 1), ((PORTRAIT, RED), 2), (np.stack([RED] * 3), 3),
        (Image.fromarray(PORTRAIT), 1),
    ],
    ids=["rgb", "gray", "list", "tuple", "batch", "Pillow"],
)  # fmt: skip
def test_arrays_that_are_there_at_once_are_pictures(given, count):
    with open_source(given) as source:
        frames = list(source)
    assert source.still and len(frames) == count
    assert all(frame.image.shape[2] == 3 for frame in frames)


# --- out -------------------------------------------------------------------------------------------------------------


def test_annotated_copies_keep_names_folders_and_kinds(album, model):
    (album / "one" / "c.jfif").write_bytes(encoded("JPEG"))
    (album / "one" / "d.gif").write_bytes(encoded("GIF", "P"))
    (album / "one" / "E.JPG").write_bytes(encoded("PNG", image=np.tile(RED, (1, 3, 1))))
    summary = run([album / "one", album / "a.png"], output=album / "out", output_width=300, recursive=True,
                  tables=[album / "t.csv"], settings=Settings(model=model), log=lambda _: None)  # fmt: skip
    written = {str(file.relative_to(album / "out")) for file in (album / "out").rglob("*") if file.is_file()}
    names = {"a.png", "one/a.png", "one/deep/b.png", "one/c.jfif.jpg", "one/d.gif.png", "one/E.JPG"}
    assert written == names and summary.frames == len(names)
    for name in names:
        kind = b"\xff\xd8" if name.lower().endswith("jpg") else b"\x89P"
        assert (album / "out" / name).read_bytes().startswith(kind)
    height, width, _ = cv2.imread(str(album / "out" / "one" / "E.JPG")).shape
    assert (width, height) == (300, 75), "wider ones are reduced"
    assert {row["name"] for row in rows_of(album / "t.csv")} >= {"a.png", "one/c.jfif"}


def test_one_picture_becomes_one_picture(tmp_path, model):
    cv2.imwrite(str(tmp_path / "a.png"), tools.scene((300, 240))[:, :, ::-1])
    run(tmp_path / "a.png", output=tmp_path / "b.jpg", settings=Settings(model=model), log=lambda _: None)
    drawn = cv2.imread(str(tmp_path / "b.jpg"))
    assert drawn.shape == (480, 640, 3)
    assert np.abs(drawn.astype(int) - cv2.imread(str(tmp_path / "a.png"))).mean() > 1, "annotated"


@pytest.mark.parametrize(
    ("output", "message"),
    [(".", "a source itself"), ("link", "a source itself"), ("x.jpg", "a folder"), ("x.txt", "a folder")],
)
def test_outputs_that_pictures_cannot_have(tmp_path, output, message):
    pictures = {name: tmp_path / name for name in ("a.png", "b.gif")}
    for path in pictures.values():
        path.write_bytes(encoded("PNG"))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(SinkError, match=f"^output: .*{message}"):
        PictureSink(tmp_path / output, pictures)


def test_a_copy_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    sink = PictureSink(tmp_path / "file" / "out", {"0": RED})
    sink.write(RED, "0")
    with pytest.raises(SinkError, match="^output: cannot write .*file"):
        sink.close()


def test_a_large_jpeg_is_read_at_half_its_size_but_reported_in_its_own_pixels(tmp_path, model):
    picture = tools.scene((2000, 300), size=400, width=3900, height=640)
    cv2.imwrite(str(tmp_path / "a.jpg"), picture[:, :, ::-1])
    read, rows, small = [], [], {"output": tmp_path / "out", "output_width": 1600}
    for options in ({}, small, small | {"blur": True}):
        run(tmp_path / "a.jpg", tables=[tmp_path / "t.csv"], settings=Settings(model=model), log=lambda _: None,
            on_result=lambda result, _: read.append(result.frame.image.shape[1]), **options)  # fmt: skip
        assert not options or cv2.imread(str(tmp_path / "out" / "a.jpg")).shape[1] == 1600
        (row,) = rows_of(tmp_path / "t.csv")
        rows.append([float(row[name]) for name in ("x", "y", "width", "height", "nose_x", "nose_y")])
    assert read == [3900, 1950, 3900], "no face to blur may be lost"
    assert rows[1] == pytest.approx(rows[0], abs=8)
