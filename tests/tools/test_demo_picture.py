"""README's moving picture."""

from PIL import Image

from tools import demo_picture


def test_the_clip_becomes_a_small_animated_picture(tmp_path):
    demo_picture.save(tmp_path / "demo.webp", every=50, width=160)
    with Image.open(tmp_path / "demo.webp") as picture:
        assert (picture.size, picture.n_frames, picture.info["loop"]) == ((160, 120), 4, 0)
