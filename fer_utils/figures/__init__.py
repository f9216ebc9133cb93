"""The notebooks' plots in one style: each takes arrays or tables and returns a figure; `show` saves and shows it."""

from fer_utils.figures.charts import bars, class_counts, curves, heatmaps, intervals, robustness_curves
from fer_utils.figures.face_grids import face_grid, landmark_scatter
from fer_utils.figures.lime import before_after, faithfulness_curves, overlays
from fer_utils.figures.realtime import stage_budget, timeline
from fer_utils.figures.style import show, use

__all__ = ["bars", "before_after", "class_counts", "curves", "face_grid", "faithfulness_curves", "heatmaps",
           "intervals", "landmark_scatter", "overlays", "robustness_curves", "show", "stage_budget", "timeline", "use"]
