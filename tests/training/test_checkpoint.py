import numpy as np
import pytest

from fer_utils.training.checkpoint import Checkpoint


class State:
    """Twelve arrays in two groups: more than ten, so that their order counts."""

    def __init__(self, start):
        self.values = {"model": [np.full(2, start + i) for i in range(12)], "optimizer": [np.array(start, np.int64)]}

    def arrays(self):
        return self.values

    def restore(self, arrays):
        self.values = arrays


def test_round_trip_keeps_order_history_and_best(tmp_path):
    history = [{"epoch": 1, "loss": 0.5}]
    Checkpoint(tmp_path, {"shape": (72, 96)}).save(State(5), history, 0)
    other = State(0)
    assert Checkpoint(tmp_path, {"shape": (72, 96)}).load(other) == (history, 0)
    assert [int(a[0]) for a in other.values["model"]] == list(range(5, 17)) and other.values["optimizer"][0] == 5


def test_nothing_saved_starts_anew(tmp_path):
    assert Checkpoint(tmp_path, {}).load(State(0)) == ([], None)


def test_another_configuration_is_refused(tmp_path):
    Checkpoint(tmp_path, {"batch": 64}).save(State(1), [], None)
    with pytest.raises(ValueError, match="batch differ"):
        Checkpoint(tmp_path, {"batch": 32}).load(State(0))
