"""LIME on faces, and how far its maps can be trusted: faithfulness and stability of explanations."""

from fer_utils.explain._faithfulness import REGIONS, faithfulness, is_frontal, region_weights, stability
from fer_utils.explain._lime import choose_examples, explain, explain_averaged, explain_classes, superpixels
from fer_utils.explain._study import mean_intervals, measures, read_study

__all__ = ["REGIONS", "choose_examples", "explain", "explain_averaged", "explain_classes", "faithfulness", "is_frontal",
           "mean_intervals", "measures", "read_study", "region_weights", "stability", "superpixels"]
