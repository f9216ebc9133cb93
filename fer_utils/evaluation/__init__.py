"""Stored runs, their metrics with uncertainty, and comparisons of models on the same images.

The submodules `compare`, `ensemble` and `robustness` compare several stored runs.
"""

from fer_utils.evaluation import compare, ensemble, robustness
from fer_utils.evaluation.calibration import Calibration
from fer_utils.evaluation.metrics import (
    bootstrap,
    confusion,
    ece,
    holm,
    mcnemar,
    paired_bootstrap_difference,
    per_class,
    reliability,
    softmax,
    summary,
)
from fer_utils.evaluation.runs import Run, list_runs, write_run

__all__ = ["Calibration", "Run", "bootstrap", "compare", "confusion", "ece", "ensemble", "holm", "list_runs",
           "mcnemar", "paired_bootstrap_difference", "per_class", "reliability", "robustness", "softmax", "summary",
           "write_run"]
