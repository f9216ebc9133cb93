from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fer_utils import figures
from fer_utils.data import CLASSES
from fer_utils.explain.faithfulness import REGIONS, Faithfulness
from fer_utils.explain.lime import Explanation
from fer_utils.figures import lime

SEGMENTS = np.arange(36).reshape(6, 6).repeat(16, 0).repeat(16, 1)


@pytest.fixture
def explanations() -> list[Explanation]:
    """Five noisy faces; the last has no positive weight, the fourth one is predicted Fear."""
    rng = np.random.default_rng(2)
    faces = rng.integers(0, 256, (5, 96, 96), dtype=np.uint8)
    weights = rng.normal(0, 0.1, (5, 36))
    weights[4] = -1
    predictions = np.eye(7, dtype=np.float32)[[0, 0, 0, 2, 0]] * 0.9
    return [Explanation(faces[i], SEGMENTS, weights[i], 0, predictions[i], 0.5, i) for i in range(5)]


def texts(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(item.get_text() for item in figure.findobj(Text))


@pytest.mark.parametrize("n", [1, 5])
def test_class_maps_fit_a_notebook(explanations: list[Explanation], n: int) -> None:
    figure = lime.class_maps(explanations[:n], [f"face {i}" for i in range(n)], title="Angry", note=" (drawn sample)")
    path = figures.save(figure, "maps")
    with Image.open(path) as picture:
        assert picture.width > 400 and path.stat().st_size <= 150_000
    assert "Angry (drawn sample)" in texts(figure) and f"face {n - 1}" in texts(figure)


def test_heat_shows_sign_and_strength() -> None:
    weights = np.zeros(36)
    weights[[0, 1, 2]] = 0.2, -0.2, 0.01
    found = Explanation(np.full((96, 96), 128, np.uint8), SEGMENTS, weights, 0, np.zeros(7), 1.0, 0)
    heat = lime.class_maps([found], ["x"], title="t").axes[lime.COLUMNS].images[-1].get_array()
    strong, against, weak, none = heat[8, 8], heat[8, 24], heat[8, 40], heat[8, 56]
    assert strong[0] > strong[2] and against[2] > against[0], "red for, blue against"
    assert strong[3] == against[3] > weak[3] > none[3] == 0


def test_captions_say_what_the_map_is_for(explanations: list[Explanation]) -> None:
    assert lime.caption(explanations[0], "Angry", CLASSES) == "labelled Angry,\nrecognized\nmap: Angry, 90 %"
    assert lime.caption(explanations[3], "Angry", CLASSES) == "labelled Angry,\ntaken for Fear\nmap: Angry, 0 %"


def test_seed_maps_have_a_row_a_face_and_a_column_a_seed(explanations: list[Explanation]) -> None:
    figure = lime.seed_maps([explanations[:3], explanations[2:]], ["first", "second"], title="Seeds")
    assert len([axis for axis in figure.axes if axis.images]) == 2 * 4
    assert "seed 2" in texts(figure) and "second" in texts(figure)


def test_curves_and_bars_show_their_numbers() -> None:
    share = np.linspace(0, 1, 11)
    tests = [Faithfulness(share, 1 - share, share, np.full(11, 0.5), np.full(11, 0.25)) for _ in range(3)]
    shown = texts(lime.faithfulness_curves(tests, title="Faithful"))
    assert "random order, area 0.50" in shown and "random order, area 0.25" in shown
    shares = {"Angry": np.array([0.1, 0.2, 0.2, 0.37, 0.03, 0.1]), "Disgust": np.full(6, 1 / 6)}
    figure = lime.region_bars(shares, np.full(6, 1 / 6), REGIONS, title="Regions")
    assert "37" in texts(figure) and "mouth" in texts(figure) and "share of the pixels" in texts(figure)
    assert lime.region_bars({}, np.full(6, 1 / 6), REGIONS, title="nothing").axes
