"""Apparent expressions on moving faces: from a camera, a file, a stream or pictures to a view, a video, a table.

`python -m fer_utils.realtime --source talk.mp4 --csv talk.csv`, or `for result in pipeline("talk.mp4"): …`. Needs
onnxruntime, OpenCV, NumPy and PyAV only. Everything stays on this machine; nothing is stored unless an output is named.
"""

from fer_utils.realtime._pipeline import Pipeline, Settings
from fer_utils.realtime._run import pipeline, run
from fer_utils.realtime.notebook import BrowserCamera, LiveView, choose_source
from fer_utils.realtime.sources import Frame
from fer_utils.realtime.summary import detection

__all__ = ["BrowserCamera", "Frame", "LiveView", "Pipeline", "Settings", "choose_source", "detection", "pipeline",
           "run"]
