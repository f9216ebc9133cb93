import numpy as np
import pytest

from fer_utils.data.drawn_faces import draw, random_look


def one(seed: int, units: dict | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return draw(units or {}, random_look(rng), rng)


def test_a_face_is_a_small_gray_picture_with_contrast() -> None:
    for seed in range(40):
        image = one(seed)
        assert image.shape == (48, 48) and image.dtype == np.uint8
        assert image.std() > 8, f"seed {seed} is nearly blank"


def test_the_generator_decides_everything() -> None:
    np.testing.assert_array_equal(one(3), one(3))
    assert np.abs(one(3).astype(int) - one(4)).mean() > 5


def test_units_left_out_are_at_rest() -> None:
    np.testing.assert_array_equal(one(1, {12: 0.0, 4: 0.0}), one(1))


def test_looks_vary() -> None:
    looks = [random_look(np.random.default_rng(seed)) for seed in range(300)]
    assert {look.hairstyle for look in looks} == set(range(6))
    assert {look.beard for look in looks} == set(range(4))
    assert {look.glasses for look in looks} == set(range(3))
    for name, spread in (("skin", 100), ("back", 150), ("yaw", 0.5), ("roll", 0.3), ("scale", 0.15)):
        values = [getattr(look, name) for look in looks]
        assert max(values) - min(values) > spread, name


@pytest.mark.parametrize("units", [{3: 0.5}, {12: 1.01}, {12: -0.1}, {12: float("nan")}, {"12": 0.5}])
def test_bad_units(units: dict) -> None:
    with pytest.raises(ValueError, match="units must map .* to 0–1, got"):
        one(0, units)
