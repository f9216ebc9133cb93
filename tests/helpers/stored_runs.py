"""Runs in a folder of one's own."""

import numpy as np
import pandas as pd
import pytest

from fer_utils.evaluation import Calibration, write_run
from fer_utils.models import BACKBONES

LABELS = np.repeat(np.arange(7), [60, 12, 60, 120, 70, 50, 80])
NONE = Calibration(1.0, (0.0,) * 7)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Write a run from calibrated logits, the same of PublicTest and PrivateTest: store(name, logits, labels)."""
    monkeypatch.setenv("FER_MODELS", str(tmp_path))

    def write(name, logits, labels=LABELS, *, calibration=NONE, outcome=None, **config):
        both, backbone = ("public", "private"), next((key for key in BACKBONES if name.startswith(key)), "xception")
        return write_run(
            name, config={"backbone": backbone, "aligned": name.endswith("aligned")} | config,
            history=pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.5]}), calibration=calibration, outcome=outcome or {},
            logits=dict.fromkeys(both, calibration.inverse(logits)), labels=dict.fromkeys(both, labels),
        )

    return write
