"""Apparent expressions on moving faces: from a camera, a file, a stream or pictures to a view, a video, a table.

    python -m fer_utils.realtime                                            # webcam 0 in a window
    python -m fer_utils.realtime --source talk.mp4 --output out.mp4 --csv out.csv --headless

In Python: `for result in pipeline("talk.mp4"): …`. Needs onnxruntime, OpenCV and NumPy, never TensorFlow. Everything
stays on this machine, and nothing is stored unless an output is named.
"""

from fer_utils.realtime._pipeline import Pipeline, Result, Settings, best_model
from fer_utils.realtime._run import pipeline, run
from fer_utils.realtime.browser import BrowserCamera, BrowserSource
from fer_utils.realtime.notebook import LiveView, choose_source, is_interactive
from fer_utils.realtime.overlay import annotate
from fer_utils.realtime.sinks import SinkError, VideoSink
from fer_utils.realtime.sources import CaptureLost, CaptureTimeout, Frame, Source, SourceError, open_source
from fer_utils.realtime.summary import Detection, Summary, detection
from fer_utils.realtime.tracker import Track, flicker

__all__ = [
    "BrowserCamera", "BrowserSource", "CaptureLost", "CaptureTimeout", "Detection", "Frame", "LiveView", "Pipeline",
    "Result", "Settings", "SinkError", "Source", "SourceError", "Summary", "Track", "VideoSink", "annotate",
    "best_model", "choose_source", "detection", "flicker", "is_interactive", "open_source", "pipeline", "run",
]
