import cv2
import numpy as np
import pytest

from fer_utils import paths
from fer_utils.data import clip
from fer_utils.faces import iou
from fer_utils.faces import Detector


@pytest.fixture(scope="module")
def frames() -> list[clip.ClipFrame]:
    return list(clip.clip_frames())


def test_frames_have_the_promised_form(frames) -> None:
    assert len(frames) == clip.FRAMES == 200
    for i, item in enumerate(frames):
        assert item.frame.shape == (480, 640, 3) and item.frame.dtype == np.uint8
        assert item.time == pytest.approx(i / clip.FPS)
        assert (item.box is None) == (item.label is None) == (item.visible == 0)
        assert item.label in (None, "Happy") and item.holds_face == (item.visible >= 0.7)


def test_the_face_moves_grows_leaves_and_returns(frames) -> None:
    held = [item.holds_face for item in frames]
    changes = np.flatnonzero(np.diff(held)) + 1
    assert len(changes) == 2, "one exit, one return"
    out = [item for item in frames if item.box is None]
    assert len(out) >= clip.FPS and len(frames) - sum(held) - len(out) <= 4, "partly visible frames must stay few"
    widths = [item.box[2] for item in frames if item.holds_face]
    centres = [item.box[0] + item.box[2] / 2 for item in frames if item.holds_face]
    assert max(widths) > 2 * min(widths) and max(centres) - min(centres) > 300


def test_boxes_reach_over_the_edge_and_visible_is_the_share_inside(frames) -> None:
    partial = [item for item in frames if 0 < item.visible < 1]
    assert partial
    for item in partial:
        x, y, w, h = item.box
        across = min(x + w, clip.WIDTH) - max(x, 0)
        assert item.visible == pytest.approx(across * (min(y + h, clip.HEIGHT) - max(y, 0)) / (w * h))


def test_the_pixels_inside_the_box_are_the_portrait(frames) -> None:
    from skimage.data import astronaut

    x, y, w, h = (int(v) for v in clip.FACE)
    face = cv2.resize(astronaut()[y : y + h, x : x + w], (42, 54), interpolation=cv2.INTER_AREA).astype(float)
    for item in frames[::20]:
        if not item.holds_face:
            continue
        x, y, w, h = (round(v) for v in item.box)
        seen = cv2.resize(item.frame[y : y + h, x : x + w], (42, 54), interpolation=cv2.INTER_AREA).astype(float)
        assert np.corrcoef(face.ravel(), seen.ravel())[0, 1] > 0.9  # she rolls a little, and the light changes


def test_every_call_gives_the_same_frames(frames) -> None:
    for first, second, _ in zip(frames, clip.clip_frames(), range(30), strict=False):
        np.testing.assert_array_equal(first.frame, second.frame)


def test_the_detector_finds_the_face_where_it_is_and_nothing_else(frames) -> None:
    some = [item for item in frames if item.holds_face][::6] + [item for item in frames if item.box is None][::6]
    with Detector(min_face_size=24) as detector:
        small = [cv2.resize(item.frame, (320, 240), interpolation=cv2.INTER_AREA) for item in some]
        found = detector.detect_batch(np.stack(small))
    hits = 0
    for item, faces in zip(some, found, strict=True):
        if item.box is None:
            assert not faces
        else:
            hits += any(iou(tuple(2 * v for v in face.box), item.box) > 0.6 for face in faces)
    assert hits >= 0.95 * sum(item.holds_face for item in some)


def test_the_file_plays_with_every_frame(frames) -> None:
    path = clip.clip_path()
    assert path.parent == paths.cache_dir() and path.suffix == ".mp4"
    assert not list(path.parent.glob(".clip*")), "a temporary file was left"
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(clip.FPS)
    count = 0
    while (got := capture.read())[0]:
        shown, meant = got[1][..., ::-1].astype(float), frames[count].frame
        assert np.abs(shown - meant).mean() < 6, f"frame {count} differs: colour order or timing"
        count += 1
    capture.release()
    assert count == clip.FRAMES
    written = path.stat().st_mtime_ns
    assert clip.clip_path() == path and path.stat().st_mtime_ns == written, "the second call must reuse the file"


def test_without_an_encoder_nothing_is_left_behind(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FER_CACHE", str(tmp_path))
    monkeypatch.setattr(cv2.VideoWriter, "fourcc", staticmethod(lambda *_: -2))
    with pytest.raises(OSError, match="cannot write mp4"):
        clip.clip_path()
    assert not list(tmp_path.iterdir())
