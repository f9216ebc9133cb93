"""The figures of notebook 01 show the numbers they were given, name the drawn sample, save within the size limit."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils.data import CLASSES, SPLITS, VOTE_NAMES
from fer_utils.figures import data as plots
from fer_utils.figures import style

NOTE = " (synthetic sample, not FER2013)"


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (84, 48, 48), dtype=np.uint8), np.arange(84) % 7


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [found.get_text() for found in figure.findobj(Text)]


@pytest.mark.parametrize("draw", [plots.class_grid, plots.mean_faces, plots.brightness_contrast])
def test_face_figures_name_every_class_and_the_sample(faces, draw):
    said = texts(draw(*faces, CLASSES, note=NOTE))
    assert set(CLASSES) <= set(said)
    assert any(NOTE in text for text in said)


def test_class_grid_shows_faces_of_the_row_s_class(faces):
    images, labels = faces
    figure = plots.class_grid(images, labels, CLASSES, columns=3)
    grid = np.reshape(figure.axes, (7, 3))
    for label, row in enumerate(grid):
        for axis in row:
            shown = np.asarray(axis.images[0].get_array())
            assert (images[labels == label] == shown).all((1, 2)).any(), CLASSES[label]


def test_class_grid_copes_with_a_class_of_two_and_unlabelled_rows(faces):
    images, _ = faces
    labels = np.full(len(images), -1)
    labels[:14] = np.arange(14) % 7
    figure = plots.class_grid(images, labels, CLASSES, columns=10)
    assert sum(len(axis.images) for axis in figure.axes) == 14


def test_class_grid_is_saved_at_readme_s_width(drawn):
    """`style.save` shrinks a picture that is too large; this one must not need it."""
    from PIL import Image

    faces = drawn.take(np.arange(0, 3600, 9))
    path = style.save(plots.class_grid(faces.images, faces.labels, CLASSES), "grid")
    assert path.stat().st_size <= style.LIMIT
    with Image.open(path) as picture:
        assert picture.width == round(style.WIDTH * style.DPI)


def test_label_bars_show_count_and_share():
    counts = np.array([[30, 10, 10, 20, 10, 10, 10], [1, 1, 1, 4, 1, 1, 1], [0] * 7])
    said = texts(plots.label_bars(counts, CLASSES, SPLITS))
    assert "30 · 30.0 %" in said and "4 · 40.0 %" in said and "0 · 0.0 %" in said
    assert "Training: 100 rows" in said


def test_mean_faces_draw_the_mean(faces):
    images, labels = faces
    figure = plots.mean_faces(images, labels, CLASSES)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), images[labels == 0].mean(0))


@pytest.mark.parametrize("n", [0, 1, 8, 12])
def test_captioned_faces_take_any_number(faces, n):
    figure = plots.captioned_faces(faces[0][:n], [f"face {i}" for i in range(n)], title="Faces", columns=8)
    assert sum(len(axis.images) for axis in figure.axes) == min(n, 8)
    assert ("face 0" in texts(figure)) == (n > 0)


def test_vote_heatmap_writes_percent_into_each_cell():
    shares = np.full((7, 10), 0.02)
    shares[np.arange(7), np.arange(7)] = 0.82
    said = texts(plots.vote_heatmap(shares, CLASSES, VOTE_NAMES))
    assert said.count("82") == 7 and said.count("2") >= 63
