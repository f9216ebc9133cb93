"""One frame in, its faces with ids and probabilities out."""

from __future__ import annotations

import threading
import time

import cv2
import face_images
import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.faces import Detector, crop_face, to_inputs
from fer_utils.models import Classifier, ModelError
from fer_utils.realtime import Frame, Pipeline, Settings, pipeline
from fer_utils.realtime._pipeline import STAGES


@pytest.fixture
def pipe(model):
    with Pipeline(Settings(model=model)) as pipe:
        yield pipe


def play(pipe: Pipeline, frames: list[np.ndarray]) -> list:
    return [pipe(Frame(image, i / 25, i)) for i, image in enumerate(frames)]


def middle(track) -> tuple[float, float]:
    x, y, width, height = track.box
    return x + width / 2, y + height / 2


def test_a_moving_face_is_followed_and_searched_only_now_and_then(pipe):
    results = play(pipe, [tools.scene((150 + 5 * i, 240)) for i in range(31)])
    assert [result.is_detection_frame for result in results] == [i % 10 == 0 for i in range(31)]
    for i, result in enumerate(results):
        (track,) = result.tracks
        assert track.id == 1
        assert middle(track) == pytest.approx((150 + 5 * i, 250), abs=20)
        assert track.landmarks.shape == (5, 2)
        assert track.box[0] < track.landmarks[:, 0].mean() < track.box[0] + track.box[2]


def test_every_frame_can_be_searched(model):
    with Pipeline(Settings(model=model, detect_every=1)) as pipe:
        assert all(result.is_detection_frame for result in play(pipe, [tools.scene((300, 240))] * 5))


def test_the_model_sees_exactly_what_it_sees_in_training(pipe):
    (result,) = play(pipe, [tools.scene((300, 240))])
    (track,) = result.tracks
    inputs = to_inputs([crop_face(result.frame.image, track.box)])
    with Classifier(pipe.classifier.path) as classifier:
        assert track.raw == pytest.approx(classifier.predict(inputs)[0], abs=1e-6)
    assert track.probabilities == pytest.approx(track.raw), "the first frame has nothing to be smoothed with"


@pytest.mark.parametrize(("alignment", "upright"), [("none, whole frames", False), ("five landmarks", True)])
def test_an_aligned_model_gets_upright_faces_on_detection_and_tracking_frames(tmp_path, alignment, upright):
    image, seen = tools.scene((300, 240), size=160), []
    turns = [cv2.getRotationMatrix2D((300, 240), angle, 1) for angle in (0, 28, 26, 24)]
    turned = [cv2.warpAffine(image, turn, (640, 480)) for turn in turns]
    model = str(tools.tiny_classifier(tmp_path / "tiny.onnx", alignment=alignment))
    with Pipeline(Settings(model=model)) as pipe:
        predict = pipe.classifier.predict
        pipe.classifier.predict = lambda inputs: (seen.extend(inputs), predict(inputs))[1]
        straight, *results = [pipe(Frame(image, i / 25, i), still=i < 2) for i, image in enumerate(turned)]
    assert [result.is_detection_frame for result in results] == [True, False, False]
    assert len(seen) == 4
    for face in seen[1:]:
        assert (np.corrcoef(face.ravel(), seen[0].ravel())[0, 1] > 0.9) == upright


def test_following_agrees_with_searching(pipe, model):
    frames = [tools.scene((200 + 4 * i, 240), size=110 + i) for i in range(10)]
    with Pipeline(Settings(model=model, detect_every=1, detect_width=640)) as full:
        for followed, searched in zip(play(pipe, frames), play(full, frames), strict=True):
            assert middle(followed.tracks[0]) == pytest.approx(middle(searched.tracks[0]), abs=8)
            assert followed.tracks[0].box[3] == pytest.approx(searched.tracks[0].box[3], rel=0.2)


@pytest.mark.parametrize(("threads", "expected"), [(0, 1), (3, 3)])
def test_a_small_network_leaves_the_other_cores_to_the_search(model, threads, expected):
    with Pipeline(Settings(model=model, threads=threads)) as pipe:
        assert pipe.classifier._session.get_session_options().intra_op_num_threads == expected


def test_several_faces_in_one_batch(pipe):
    results = play(pipe, [tools.scene((120, 150), (330, 250), (540, 330))] * 3)
    assert [[track.id for track in result.tracks] for result in results] == [[1, 2, 3]] * 3
    assert sorted(round(middle(track)[0]) for track in results[-1].tracks) == pytest.approx([120, 330, 540], abs=15)


def slowed(pipe: Pipeline, wait) -> None:
    """Let the background search wait before it ends."""
    find = pipe.search._find
    pipe.search._find = lambda *arguments: (find(*arguments), wait())[0]


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_a_newcomer_counts_two_frames_after_the_detection_frame_however_slow_the_machine(pipe, seconds):
    slowed(pipe, lambda: time.sleep(seconds))
    frames = [tools.scene((150, 240))] * 5 + [tools.scene((150, 240), (450 - 12 * i, 240)) for i in range(8)]
    results = play(pipe, frames)
    assert [len(result.tracks) for result in results] == [1] * 12 + [2]
    assert [result.is_detection_frame for result in results] == [i % 10 == 0 for i in range(13)]
    assert middle(results[-1].tracks[1]) == pytest.approx((450 - 12 * 7, 242), abs=10), "where the face is by now"


def test_a_live_view_never_waits_for_a_search_and_takes_it_when_it_is_done(pipe):
    done, image = threading.Event(), tools.scene((150, 240), (450, 240))
    pipe(Frame(tools.scene((150, 240)), 0.0, 0), live=True)
    slowed(pipe, done.wait)
    try:
        results = [pipe(Frame(image, i / 25, i), live=True) for i in range(1, 31)]
        assert {len(result.tracks) for result in results} == {1}
        assert [result.frame.index for result in results if result.is_detection_frame] == [10]
    finally:
        done.set()
    pipe.search._pending.result()
    assert len(pipe(Frame(image, 2.0, 31), live=True).tracks) == 2


def test_a_lost_face_is_found_at_once_when_it_returns_and_keeps_its_number(pipe):
    empty = tools.scene()
    results = play(pipe, [tools.scene((300, 240))] * 4 + [empty] * 12 + [tools.scene((310, 240))] * 5)
    assert [[track.id for track in result.tracks] for result in results] == [[1]] * 4 + [[]] * 12 + [[1]] * 5
    assert [i for i, result in enumerate(results) if result.is_detection_frame] == [0, *range(4, 17)]
    assert len(results[6].hidden) == 1 and results[-1].hidden == []


def test_frames_between_samples_are_left_out_and_ids_stay(model, film):
    results = list(pipeline(film, model=model, sample_every=0.4))
    assert [result.frame.index for result in results] == [0, 10, 20, 30, 40]
    assert [[track.id for track in result.tracks] for result in results] == [[1]] * 4 + [[]]
    images = [tools.scene((150 + 40 * i, 240)) for i in range(4)]
    with Pipeline(Settings(model=model, sample_every=3.0)) as pipe:
        ids = [[track.id for track in pipe(Frame(image, 3.0 * i, 75 * i)).tracks] for i, image in enumerate(images)]
    assert ids == [[1]] * 4


def test_boxes_from_elsewhere_are_classified_and_nothing_is_searched(model, film):
    image, box = tools.scene((300, 240), (500, 120)), (250.0, 190.0, 100.0, 120.0)
    with Pipeline(Settings(model=model)) as pipe:
        results = [pipe(Frame(image, i / 25, i), boxes=[box, (20, 20, 60, 60)]) for i in range(2)]
        with pytest.raises(ValueError, match="^boxes: must be .*got"):
            pipe(Frame(image, 1.0, 2), boxes=[(900, 20, 60, 60)])
    for result in results:
        face, wall = result.tracks
        assert (face.id, face.box, wall.id, wall.box) == (1, box, 2, (20, 20, 60, 60))
        assert face.score > 0.9 and face.landmarks[2] == pytest.approx((300, 255), abs=12)
        assert wall.score == 0 and (wall.landmarks > 20).all() and (wall.landmarks < 80).all()
        assert not result.is_detection_frame
    inputs = to_inputs([crop_face(image, box)])
    with Classifier(model) as classifier:
        assert results[0].tracks[0].raw == pytest.approx(classifier.predict(inputs)[0], abs=1e-6)
    seen = pipeline(film, model=model, max_frames=3, boxes=lambda frame: [box] if frame.index else [])
    assert [[track.box for track in result.tracks] for result in seen] == [[], [box], [box]]


def covered(result, box) -> bool:
    """Whether what is to be blurred covers nine tenths of a box."""
    mask = np.zeros(result.frame.image.shape[:2], np.uint8)
    for x, y, width, height in (*result.hidden, *(track.box for track in result.tracks)):
        cv2.rectangle(mask, (int(x), int(y)), (int(x + width), int(y + height)), 1, cv2.FILLED)
    x, y, width, height = (max(int(value), 0) for value in box)
    return mask[y : y + height, x : x + width].mean() > 0.9


@pytest.mark.parametrize(("smallest", "expected"), [(40, 4), (60, 2)])
def test_blurring_covers_every_face_that_a_full_search_finds(model, smallest, expected):
    places = [(150, 150), (600, 900), (1000, 400), (1880, 1000)]
    sizes, frames = (50, 58, 72, 80), []
    for i in range(3):
        image = tools.scene(width=1920, height=1080)
        for (x, y), size in zip(places, sizes, strict=True):
            one = tools.scene((x - 15 * i, y), size=size, width=1920, height=1080)
            image = np.where(one == 110, image, one)
        frames.append(image)
    with Pipeline(Settings(model=model, blur=True, blur_min_face=smallest)) as pipe, Detector() as detector:
        for result in play(pipe, frames):
            faces = detector.detect(result.frame.image)
            seen = [covered(result, face.box) for face in faces if max(face.box[2:]) >= smallest]
            assert all(seen) and len(seen) == expected


def test_a_face_that_is_lost_stays_covered_for_a_while_where_it_was_and_goes(model):
    with Pipeline(Settings(model=model, blur=True)) as pipe:
        results = play(pipe, [tools.scene((200 + 6 * i, 240)) for i in range(10)] + [tools.scene()] * 30)
    x, y, width, height = results[9].tracks[0].box
    assert all(covered(result, (x, y, width, height)) for result in results[10:30])
    assert covered(results[14], (x + 30, y, width, height)), "and where it moves on to"
    assert results[-1].hidden == []


def test_no_face_no_track(pipe):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    for result in play(pipe, [tools.scene(), noise, np.zeros((480, 640, 3), np.uint8)]):
        assert result.tracks == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (12, 12), (2000, 13)])
def test_pictures_too_small_for_a_face(pipe, shape):
    (result,) = play(pipe, [np.full((*shape, 3), 128, np.uint8)])
    assert result.tracks == []


def test_the_size_may_change_from_frame_to_frame(pipe):
    frames = [tools.scene((300, 240)), tools.scene((100, 100), width=200, height=200), np.zeros((1, 1, 3), np.uint8)]
    counts = [len(result.tracks) for result in play(pipe, [*frames, tools.scene((300, 240))])]
    assert counts == [1, 1, 0, 1]


def test_separate_pictures_have_nothing_in_common(pipe):
    images = [tools.scene((300, 240)), tools.scene((305, 240)), tools.scene((60, 60), size=40, width=1280, height=960)]
    results = [pipe(Frame(image, float(i), i), still=True) for i, image in enumerate(images)]
    assert [[track.id for track in result.tracks] for result in results] == [[1], [2], [3]]
    assert all(result.is_detection_frame for result in results)


def test_a_single_picture_shows_no_face_in_textures(pipe):
    views = [face_images.texture(seed) for seed in (4, 30, 54, 122, 190, 243, 345, 349, 393, 399, 507, 559)]
    assert sum(len(pipe.search.now(view, 960)) for view in views) >= 10, "MTCNN alone sees faces there"
    assert sum(len(pipe(Frame(view, 0.0, i), still=True).tracks) for i, view in enumerate(views)) <= 1


@pytest.mark.parametrize("size", [48, 90, 150])
def test_a_group_photo_keeps_14_of_its_15_faces(pipe, size):
    results = [pipe(Frame(face_images.group(size=size, seed=seed), 0.0, seed), still=True) for seed in (1, 2, 3)]
    assert min(len(result.tracks) for result in results) >= 14


def test_every_stage_is_timed(pipe):
    results = play(pipe, [tools.scene((300, 240))] * 13)
    assert all(set(result.milliseconds) == set(STAGES) for result in results)
    assert all(ms >= 0 for result in results for ms in result.milliseconds.values())
    assert [i for i, result in enumerate(results) if result.milliseconds["detect"] > 0] == [0, 12]


def test_a_cut_out_is_refined_as_the_whole_frame_is(pipe):
    image, box = tools.scene((400, 300)), (350.0, 240.0, 100.0, 120.0)
    with Detector(fit_to_image=False) as detector:
        whole, part = detector.refine(image, box), pipe.search.refine(image, box)
    assert part.box == pytest.approx(whole.box, abs=2)
    assert part.landmarks == pytest.approx(whole.landmarks, abs=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"detect_every": 0}, {"detect_width": 10}, {"threads": -1}, {"half_life": float("nan")}, {"min_confidence": 3},
        {"blur_min_face": 12},
    ],
)
def test_bad_settings_are_named(wrong, model):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: must .*got"):
        Pipeline(Settings(model=model, **wrong))


def test_a_model_that_is_not_there():
    with pytest.raises(ModelError, match="nothing.onnx"):
        Pipeline(Settings(model="nothing"))


def test_close_may_be_repeated(model):
    pipe = Pipeline(Settings(model=model))
    pipe.close()
    pipe.close()
    with pytest.raises((RuntimeError, ModelError), match="closed"):
        pipe(Frame(tools.scene((300, 240)), 0.0, 0))
