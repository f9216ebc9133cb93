import numpy as np
import pytest

from fer_utils.data.facial_actions import ACTION_UNITS, CONFUSIONS, PROTOTYPES, random_units
from fer_utils.data import CLASSES


def test_every_class_has_prototypes_of_known_units() -> None:
    assert tuple(PROTOTYPES) == CLASSES == tuple(CONFUSIONS)
    for ways in PROTOTYPES.values():
        assert all(unit in ACTION_UNITS and 0 < value <= 1 for way in ways for unit, value in way.items())


def test_missed_votes_go_to_other_classes_and_add_up() -> None:
    for name, others in CONFUSIONS.items():
        assert name not in others and set(others) <= set(CLASSES)
        assert sum(others.values()) == pytest.approx(1)


@pytest.mark.parametrize("expression", CLASSES)
def test_units_stay_in_range_and_follow_the_prototype(expression: str) -> None:
    drawn = [random_units(expression, np.random.default_rng(seed)) for seed in range(300)]
    table = np.array([[units[unit] for unit in ACTION_UNITS] for units, _ in drawn])
    assert table.min() >= 0 and table.max() <= 1
    assert all(0 <= intensity <= 1 for _, intensity in drawn)
    meant = {unit for way in PROTOTYPES[expression] for unit in way}
    for unit, mean in zip(ACTION_UNITS, table.mean(0), strict=True):
        assert (mean > 0.05) == (unit in meant), f"AU{unit} {ACTION_UNITS[unit]}: {mean:.3f}"


def test_the_same_generator_gives_the_same_units() -> None:
    first, second = (random_units("Fear", np.random.default_rng(5)) for _ in range(2))
    assert first == second != random_units("Fear", np.random.default_rng(6))


@pytest.mark.parametrize("name", ["happy", "Contempt", "", None, 3])
def test_unknown_expression(name) -> None:
    with pytest.raises(ValueError, match="expression must be one of Angry, .*got"):
        random_units(name, np.random.default_rng(0))
