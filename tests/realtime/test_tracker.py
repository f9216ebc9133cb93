"""Ids that stay, probabilities that do not flicker."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import pytest

from fer_utils.data import CLASSES
from fer_utils.realtime.tracker import UNCERTAIN, Tracker, assign

HAPPY, SAD = CLASSES.index("Happy"), CLASSES.index("Sad")


@dataclass
class Seen:
    """A face as the detector gives it, reduced to what a tracker reads."""

    box: tuple[float, float, float, float]
    score: float = 0.99
    landmarks: np.ndarray | None = None


def at(x: float, y: float = 100, size: float = 60, score: float = 0.99) -> Seen:
    return Seen((x - size / 2, y - size / 2, size, size), score)


def sure_of(index: int, p: float = 0.9) -> np.ndarray:
    probabilities = np.full(7, (1 - p) / 6, np.float32)
    probabilities[index] = p
    return probabilities


def test_ids_count_from_one_and_stay():
    tracker = Tracker()
    for i in range(10):
        tracks = tracker.update([at(100 + 3 * i), at(400 - 3 * i)], i / 25)
        assert [track.id for track in tracks] == [1, 2]
    assert tracks[0].box[0] == pytest.approx(100 + 27 - 30)


def test_ids_survive_a_crossing():
    tracker, last = Tracker(), {}
    for i in range(60):
        a, b = 100 + 8 * i, 580 - 8 * i
        # While the faces overlap much, a detector sees one of them only.
        faces = [at(a)] if abs(a - b) < 30 else [at(a), at(b)]
        last = {track.id: track.box[0] + 30 for track in tracker.update(faces, i / 25)}
    assert last == {1: pytest.approx(100 + 8 * 59), 2: pytest.approx(580 - 8 * 59)}


@pytest.mark.parametrize("speed", [0, 5])
def test_ids_survive_half_a_second_out_of_sight(speed):
    tracker = Tracker()
    for i in range(50):
        hidden = 20 <= i < 33
        tracks = tracker.update([] if hidden else [at(100 + speed * i)], i / 25)
        assert [track.id for track in tracks] == ([] if hidden else [1])
        assert [track.id for track in tracker.lost] == ([1] if hidden else [])


def test_a_face_that_stays_away_gets_a_new_id():
    tracker = Tracker()
    tracker.update([at(100)], 0.0)
    assert [track.id for track in tracker.update([at(100)], 1.5)] == [2]


def test_a_face_elsewhere_is_another_face():
    tracker = Tracker()
    tracker.update([at(100)], 0.0)
    assert [track.id for track in tracker.update([at(300)], 0.04)] == [2]


def test_a_face_below_the_confidence_threshold_must_be_seen_twice():
    tracker = Tracker()
    assert tracker.update([at(100, score=0.8)], 0.0) == []
    assert [track.id for track in tracker.update([at(100, score=0.8)], 0.04)] == [1]
    assert tracker.update([at(400, score=0.8)], 0.08) == []
    tracker.update([], 0.12)
    assert tracker.update([at(400, score=0.8)], 0.16) == [], "two sightings with a gap between are no confirmation"
    assert [track.id for track in Tracker().update([at(400, score=0.8)], 0.0, sure=True)] == [1]


def test_owners_are_kept_and_the_rest_is_matched():
    tracker = Tracker()
    first, second = tracker.update([at(100), at(300)], 0.0)
    tracks = tracker.update([at(302), at(102), at(500)], 0.04, owners=[second, None, None])
    assert [(track.id, track.box[0] + 30) for track in tracks] == [(1, 102), (2, 302), (3, 500)]
    assert tracks[0] is first


@pytest.mark.parametrize("rate", [5, 100])
def test_smoothing_is_measured_in_seconds(rate):
    tracker = Tracker(half_life=0.4)
    tracks = tracker.update([at(100)], 0.0)
    tracker.classify(tracks, [sure_of(HAPPY, 1.0)], 0.0)
    for i in range(1, round(0.4 * rate) + 1):
        tracks = tracker.update([at(100)], i / rate)
        tracker.classify(tracks, [sure_of(SAD, 1.0)], i / rate)
    assert tracks[0].probabilities[[HAPPY, SAD]] == pytest.approx([0.5, 0.5], abs=1e-5)
    assert tracks[0].raw[SAD] == 1


def test_no_half_life_no_smoothing():
    tracker = Tracker(half_life=0)
    for i, index in enumerate((HAPPY, SAD, HAPPY)):
        tracks = tracker.update([at(100)], i / 25)
        tracker.classify(tracks, [sure_of(index)], i / 25)
        assert tracks[0].label == CLASSES[index]
        assert tracks[0].probabilities == pytest.approx(tracks[0].raw, abs=1e-6)


def shown(tracker: Tracker, probabilities: list[np.ndarray], rate: float = 25) -> tuple[list[str], list[float]]:
    texts, times = [], [i / rate for i in range(len(probabilities))]
    for time, p in zip(times, probabilities, strict=True):
        tracks = tracker.update([at(100)], time)
        tracker.classify(tracks, [p], time)
        texts.append(tracks[0].text)
    return texts, times


def test_labels_do_not_flicker_on_a_still_face():
    rng = np.random.default_rng(3)
    noisy = []
    for _ in range(500):
        logits = rng.normal(0, 0.9, 7)
        logits[HAPPY] += 2.2
        noisy.append((np.exp(logits) / np.exp(logits).sum()).astype(np.float32))
    raw, smooth = [CLASSES[int(p.argmax())] for p in noisy], shown(Tracker(), noisy)[0]
    changes = [sum(a != b for a, b in pairwise(texts)) for texts in (raw, smooth)]
    assert changes[0] > 40 and changes[1] <= 4, "in 20 s"


def test_a_real_change_comes_through():
    texts, _ = shown(Tracker(half_life=0.4), [sure_of(HAPPY)] * 25 + [sure_of(SAD)] * 25)
    assert texts[24] == "Happy"
    assert texts[-1] == "Sad"
    assert texts.index("Sad") - 25 <= 0.6 * 25


def test_uncertain_below_the_threshold_and_sticky():
    def mixed(p: float) -> np.ndarray:
        return sure_of(HAPPY, p)

    texts, _ = shown(Tracker(half_life=0, min_confidence=0.4), [mixed(p) for p in (0.38, 0.41, 0.38, 0.34, 0.38, 0.5)])
    assert texts == [UNCERTAIN, "Happy", "Happy", UNCERTAIN, UNCERTAIN, "Happy"]


def test_reset_forgets_faces_but_not_numbers():
    tracker = Tracker()
    tracker.update([at(100)], 5.0)
    tracker.reset()
    assert [track.id for track in tracker.update([at(100)], 0.0)] == [2]


def test_equal_times_do_no_harm():
    tracker = Tracker()
    for _ in range(3):
        tracks = tracker.update([at(100)], 1.0)
        tracker.classify(tracks, [sure_of(HAPPY)], 1.0)
    assert np.isfinite(tracks[0].velocity).all()
    assert tracks[0].text == "Happy"


def test_prediction_follows_the_speed():
    tracker = Tracker()
    for i in range(50):
        tracks = tracker.update([at(100 + 4 * i)], i / 25)
    x = tracks[0].predicted(49 / 25 + 0.2)[0] + 30
    assert x == pytest.approx(100 + 4 * 49 + 100 * 0.2, abs=1)


def cheapest(cost: np.ndarray, limit: float) -> float:
    """By trying everything: pairs at their cost, what stays alone (counted by row) at `limit`."""
    rows, columns = cost.shape
    padded = np.full((rows, columns + rows), limit)
    padded[:, :columns] = np.minimum(cost, limit)
    return min(sum(padded[i, j] for i, j in enumerate(order)) for order in permutations(range(columns + rows), rows))


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 4), (4, 3)])
def test_assignment_is_optimal(shape):
    for seed in range(20):
        cost = np.random.default_rng(seed).uniform(0, 2, shape)
        pairs = assign(cost, limit=1.0)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert all(cost[pair] <= 1.0 for pair in pairs)
        total = sum(cost[pair] for pair in pairs) + (shape[0] - len(pairs))
        assert total == pytest.approx(cheapest(cost, 1.0))


def test_greedy_assignment_would_fail_here():
    # The closest pair (0, 0) would leave row 1 with a far partner.
    assert assign(np.array([[0.1, 0.2], [0.2, 0.9]]), limit=1.0) == [(0, 1), (1, 0)]
