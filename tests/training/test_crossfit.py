"""Answers by networks that have not seen the row."""

import numpy as np
import pytest

from fer_utils import data
from fer_utils.evaluation import runs
from fer_utils.training import crossfit
from fer_utils.training.config import Config
from fer_utils.training.dataset import training_set


class Nothing:
    weights = ()


@pytest.fixture
def judged(drawn, tmp_path, monkeypatch):
    """Two recorded runs, one of each half, whose logits on the other half name the label with a trace of the row."""
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    for half in (0, 1):
        unseen = crossfit.other_half(drawn, half)
        logits = 3 * np.eye(7, dtype=np.float32)[unseen.labels] + unseen.images[:, :1, 20] / 255
        config = Config(f"resnet18_half_{half}", half=half)
        facts = {"parameters": 1, "mflops": 1.0}
        runs.write_run(config, [{"epoch": 1}], {"unseen": logits}, {"unseen": unseen.labels}, facts, Nothing())
    return ["resnet18_half_0", "resnet18_half_1"]


def test_two_halves_share_no_image_and_leave_none_out(drawn):
    rows = data.training_indices(drawn)
    images = np.concatenate([drawn.images[rows], drawn.images[rows[:50]]])
    half = crossfit.halves(images)
    assert set(half) == {0, 1} and half.mean() == pytest.approx(0.5, abs=0.1)
    assert np.array_equal(half[-50:], half[:50])  # a copy is never judged by a network that has learned its original
    learned = [training_set(Config("resnet18", half=each), drawn)[0] for each in (0, 1)]
    known = [{image.tobytes() for image in images} for images in learned]
    assert not known[0] & known[1] and sum(map(len, learned)) == len(rows)
    for each in (0, 1):
        assert {image.tobytes() for image in crossfit.other_half(drawn, each).images} == known[1 - each]


def test_each_row_is_answered_by_the_run_of_the_other_half(drawn, judged):
    rows = data.training_indices(drawn)
    images, labels = drawn.images[rows], drawn.labels[rows]
    wanted = 3 * np.eye(7)[labels] + images[:, :1, 20] / 255
    wanted -= np.log(np.exp(wanted).sum(1, keepdims=True))
    for names in (judged, judged[::-1]):
        found = crossfit.unseen_answers(names, images, labels)
        assert found.dtype == np.float32 and found == pytest.approx(wanted, abs=1e-4)


def test_training_labels_take_the_answers_of_their_own_rows(drawn, judged):
    told = {"votes": 1.0, "translate": True, "judges": "+".join(judged)}
    images, targets = training_set(Config("xception", **told), drawn)
    rows = data.training_indices(drawn)
    answers = crossfit.unseen_answers(judged, drawn.images[rows], drawn.labels[rows])
    assert targets == pytest.approx(data.calibrated_votes(drawn.labels[rows], drawn.votes[rows], answers), abs=1e-6)
    assert (targets.argmax(1) == drawn.labels[rows]).mean() > 0.99  # these answers know the label
    some, few = training_set(Config("xception", rows=200, **told), drawn)  # a quick look takes some of the rows
    label = dict(zip((image.tobytes() for image in images), targets.argmax(1), strict=True))
    assert len(some) == 200
    assert np.mean([label[image.tobytes()] == row.argmax() for image, row in zip(some, few, strict=True)]) > 0.95


@pytest.mark.real_data
def test_the_recorded_judges_answer_the_real_rows(real_data):
    names = ["mobilenet_v3_large_half_0", "mobilenet_v3_large_half_1"]
    rows = data.training_indices(real_data)
    labels = real_data.labels[rows]
    answers = crossfit.unseen_answers(names, real_data.images[rows], labels)
    half, right = crossfit.halves(real_data.images[rows]), answers.argmax(1) == labels
    for name in names:
        run = runs.Run(name)
        assert right[half != run.config["half"]].mean() == pytest.approx(run.metrics["unseen"]["accuracy"], abs=1e-9)


def test_runs_that_do_not_fit(drawn, judged):
    rows = data.training_indices(drawn)
    images, labels = drawn.images[rows], drawn.labels[rows]
    with pytest.raises(ValueError, match="two runs, of halves 0 and 1; got resnet18_half_0, resnet18_half_0"):
        crossfit.unseen_answers([judged[0]] * 2, images, labels)
    with pytest.raises(ValueError, match="resnet18_half_1 has judged other rows"):
        crossfit.unseen_answers(judged[::-1], images[:-20], labels[:-20])
