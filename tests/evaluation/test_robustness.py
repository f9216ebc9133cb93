"""Corrupted images, each corruption as it says, and what is recorded of a shipped model on them."""

import dataclasses

import cv2
import numpy as np
import pytest
import tiny_onnx

from fer_utils import models, paths
from fer_utils.evaluation import __main__ as command
from fer_utils.evaluation import ensemble, list_runs, robustness, summary
from fer_utils.evaluation.runs import digest
from fer_utils.faces import to_inputs

# Half light, half dark, with a little texture: every rotation, blur or bar changes it more than the one before.
FACES = np.full((6, 48, 48), 60, np.uint8)
FACES[:, :, 24:] = 200
FACES += cv2.GaussianBlur(np.random.default_rng(2).integers(0, 80, (48, 48), dtype=np.uint8), (0, 0), 1.0)


@pytest.mark.parametrize("name", robustness.CORRUPTIONS)
def test_every_severity_is_further_away_than_the_one_before(name):
    before = FACES.copy()
    found = [robustness.corrupt(FACES, name, severity) for severity in robustness.SEVERITIES]
    assert all(faces.shape == FACES.shape and faces.dtype == np.uint8 for faces in found)
    away = [np.abs(faces.astype(int) - FACES).mean() for faces in found]
    assert away == sorted(set(away)) and away[0] > 0 and np.array_equal(FACES, before)
    assert np.array_equal(found[2], robustness.corrupt(FACES, name, 3))
    assert robustness.corrupt(FACES[:0], name, 1).shape == (0, 48, 48)


def test_a_rotation_turns_by_so_many_degrees():
    face = np.zeros((1, 49, 49), np.uint8)
    face[0, 24, 24:] = 255  # a ray to the right
    y, x = np.argwhere(robustness.corrupt(face, "rotation", 5)[0] > 60).mean(0) - 24
    assert abs(np.degrees(np.arctan2(abs(y), x)) - 45) < 4


@pytest.mark.parametrize("name, rows", [("eyes covered", robustness.EYES), ("mouth covered", robustness.MOUTH)])
def test_a_bar_covers_its_rows_only(name, rows):
    found = robustness.corrupt(FACES, name, 5)
    top, bottom = (round(part * 48) for part in rows)
    assert (found[:, top:bottom] == 128).all()
    assert np.array_equal(np.delete(found, np.s_[top:bottom], 1), np.delete(FACES, np.s_[top:bottom], 1))
    assert (robustness.corrupt(FACES, name, 3)[:, top:bottom] == 128).mean() == pytest.approx(0.6, abs=0.03)


def test_noise_and_light_have_the_size_they_say():
    gray = np.full((20, 48, 48), 128, np.uint8)
    assert robustness.corrupt(gray, "noise", 2).std() == pytest.approx(16, rel=0.05)
    assert robustness.corrupt(gray, "low light", 3).mean() == pytest.approx(32, abs=1)


@pytest.mark.parametrize("name, severity", [("fog", 1), ("blur", 0), ("blur", 6)])
def test_bad_input(name, severity):
    with pytest.raises(ValueError, match="^corruption, severity:"):
        robustness.corrupt(FACES, name, severity)


@pytest.fixture
def shipped(store):
    """A stored run of a tiny classifier."""
    store("resnet18", np.zeros((2, 7)), [0, 1])
    tiny_onnx.write(paths.models_dir() / "resnet18.onnx")
    return "resnet18"


def test_scores_are_those_of_the_corrupted_images(shipped, drawn):
    private = drawn.split("PrivateTest")
    robustness.record_robustness(shipped, drawn)
    table = robustness.read_robustness(shipped)
    assert len(table) == 1 + len(robustness.CORRUPTIONS) * 5 and (table.n == len(private)).all()
    clean, dark = table.iloc[0], table[(table.corruption == "low light") & (table.severity == 4)].iloc[0]
    assert (clean.corruption, clean.severity) == ("none", 0) and dark.setting == "15%"
    for row, images in ((clean, private.images), (dark, robustness.corrupt(private.images, "low light", 4))):
        probabilities = tiny_onnx.expected(to_inputs(images))
        assert row.accuracy == pytest.approx(summary(private.labels, probabilities)["accuracy"])
        assert row.predictions.tolist() == probabilities.argmax(1).tolist()
    assert table.attrs == {"labels": private.labels.tolist(), "model": digest(paths.models_dir() / "resnet18.onnx")}


def test_every_model_sees_the_same_sampled_images(shipped, drawn):
    found = []
    for _ in range(2):
        robustness.record_robustness(shipped, drawn, count=20)
        found.append(robustness.read_robustness(shipped))
    assert (found[0].n == 20).all() and found[0].attrs == found[1].attrs
    assert np.array_equal(np.stack(found[0].predictions), np.stack(found[1].predictions))
    with pytest.raises(ValueError, match="count"):
        robustness.record_robustness(shipped, drawn, count=0)


def test_a_model_of_aligned_faces_gets_the_corrupted_images_aligned(shipped, drawn, monkeypatch):
    asked = []

    def images_of(self, fer):
        asked.append(fer.images)
        return np.zeros_like(fer.images)

    monkeypatch.setattr(models.Classifier, "images_of", images_of)
    robustness.record_robustness(shipped, drawn, count=5)
    black = tiny_onnx.expected(to_inputs(np.zeros((5, 48, 48), np.uint8))).argmax(1).tolist()
    assert all(row.tolist() == black for row in robustness.read_robustness(shipped).predictions)
    assert len(asked) == 36 and not np.array_equal(asked[0], asked[1])


def test_the_command_records_and_lists(shipped, drawn, monkeypatch, capsys):
    chosen = np.concatenate([np.flatnonzero(drawn.usage == split)[:10] for split in range(3)])
    monkeypatch.setattr(command.data, "load", lambda: dataclasses.replace(drawn.take(chosen)))
    for arguments in (["robustness", shipped, "--images", "5"], ["tta", shipped]):
        command.main(arguments)
    assert (robustness.read_robustness(shipped).n == 5).all() and len(ensemble.read_tta(shipped)["private"]) == 10
    listed = models.manifest()["files"]
    assert {f"runs/{shipped}/robustness.json", f"runs/{shipped}/tta.npz"} <= set(listed)
    assert "manifest.json" in capsys.readouterr().out


def test_nothing_recorded(shipped):
    for study, read in (("tta", ensemble.read_tta), ("robustness", robustness.read_robustness)):
        with pytest.raises(FileNotFoundError, match=f"evaluation {study} {shipped}"):
            read(shipped)


@pytest.mark.parametrize("file, of_model", [
    ("tta.npz", lambda name: str(ensemble.read_tta(name)["model"])),
    ("robustness.json", lambda name: robustness.read_robustness(name).attrs["model"]),
])
def test_what_is_stored_belongs_to_the_shipped_files(file, of_model):
    names = [name for name in list_runs() if (paths.MODELS / "runs" / name / file).is_file()]
    assert names
    for name in names:
        assert of_model(name) == digest(paths.MODELS / f"{name}.onnx"), name
