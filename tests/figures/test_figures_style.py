import numpy as np

from fer_utils import figures
from fer_utils.data import CLASSES

RNG = np.random.default_rng(0)


def test_every_class_has_a_colour_of_its_own():
    assert tuple(figures.COLORS) == CLASSES and len(set(figures.COLORS.values())) == 7


def test_a_saved_picture_stays_under_the_limit_and_is_the_one_shown():
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(7.3, 7.3))
    axis.imshow(RNG.integers(0, 256, (400, 400, 3)))
    image = figures.show(fig, "noise")
    path = figures.style.paths.figure_dir() / "noise.png"
    assert path.stat().st_size <= 150_000 and path.read_bytes() == image.data
    assert fig.number not in plt.get_fignums()


def test_a_palette_keeps_the_classes_apart():
    import matplotlib.pyplot as plt
    from PIL import Image

    fig, axis = plt.subplots(figsize=(7.3, 7.3))
    axis.imshow(RNG.integers(0, 256, (400, 400)), cmap="gray")
    for row, color in enumerate(figures.COLORS.values()):
        axis.text(0, 50 * row + 20, "\u2588", color=color, fontsize=16)
    path = figures.save(fig, "classes")
    plt.close(fig)
    with Image.open(path) as picture:
        assert picture.mode == "P"
        found = {color for _, color in picture.convert("RGB").getcolors(1000)}
    assert {tuple(bytes.fromhex(color[1:])) for color in figures.COLORS.values()} <= found
