"""Stored runs, their metrics with uncertainty, and comparisons of models on the same images.

The submodules `compare`, `ensemble` and `robustness` compare several stored runs.
"""

from fer_utils.evaluation import compare, ensemble, robustness
from fer_utils.evaluation.calibration import Calibration
from fer_utils.evaluation.metrics import bootstrap, confusion, ece, mcnemar, per_class, reliability, summary
from fer_utils.evaluation.runs import Run, list_runs, write_run

__all__ = ["Calibration", "Run", "bootstrap", "compare", "confusion", "ece", "ensemble", "list_runs", "mcnemar",
           "per_class", "reliability", "robustness", "summary", "write_run"]
