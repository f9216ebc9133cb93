"""What the real-time tests share: a small real classifier, a real face, and videos of it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_utils.data import CLASSES

FACE_BOX = (174.0, 66.0, 98.0, 125.0)  # MTCNN's box of the astronaut's face in the 512 × 512 portrait


def tiny_classifier(path: Path, **metadata: str) -> Path:
    """An ONNX file of the shape and metadata that `export_onnx` writes: dark crops are Sad, bright ones Happy."""
    weights, bias = np.zeros((3, 7), np.float32), np.full(7, -2, np.float32)
    weights[:, CLASSES.index("Happy")] = 0.02
    bias[CLASSES.index("Sad")] = 5.1
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias"),
    ]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 96, 96, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 7])], constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"classes": json.dumps(CLASSES)} | metadata)
    onnx.save(model, path)
    return path


def portrait() -> np.ndarray:
    """NASA's portrait of Eileen Collins (public domain): uint8 [512, 512, 3] RGB."""
    from skimage import data

    return data.astronaut()


def scene(*places: tuple[float, float], size: float = 120, width: int = 640, height: int = 480) -> np.ndarray:
    """A gray frame with the portrait's face, `size` pixels high, at each place: uint8 [height, width, 3] RGB."""
    face = portrait()[20:220, 130:310]
    frame = np.full((height, width, 3), 110, np.uint8)
    scale = size / FACE_BOX[3]
    face = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for x, y in places:
        left, top = round(x - face.shape[1] / 2), round(y - face.shape[0] / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + face.shape[1], width), min(top + face.shape[0], height)
        if x1 > x0 and y1 > y0:
            frame[y0:y1, x0:x1] = face[y0 - top : y1 - top, x0 - left : x1 - left]
    return frame


def write_video(path: Path, frames: list[np.ndarray], *, fps: float = 25.0, codec: str = "mp4v") -> Path:
    """A video by OpenCV itself, not by the code under test."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path


def cut(path: Path, target: Path, share: float = 0.6) -> Path:
    """The first part of a file, as a broken download leaves it."""
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def read_video(path: Path) -> list[np.ndarray]:
    """Frames of a video by OpenCV itself: uint8 [H, W, 3] RGB."""
    capture, frames = cv2.VideoCapture(str(path)), []
    assert capture.isOpened(), f"{path} is not playable"
    while True:
        good, frame = capture.read()
        if not good:
            return frames
        frames.append(frame[:, :, ::-1])


class Stream:
    """A real live source on this machine: motion JPEG over HTTP, 25 frames a second, each brighter than the last.

    `mode` may be set to "stall" (send nothing more) or "end" (hang up); then to "go" again. A context manager.
    """

    def __init__(self) -> None:
        stream = self
        self.mode, self.sent = "go", 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if stream.mode == "end":
                    return self.send_error(503)
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    while stream.mode != "end":
                        if stream.mode == "go":
                            self.wfile.write(stream.part())
                        time.sleep(0.04)
                except OSError:  # the reader hung up
                    pass

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/live.mjpg"

    def part(self) -> bytes:
        picture = np.full((120, 160, 3), self.sent % 250, np.uint8)
        self.sent += 1
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg)

    def __enter__(self) -> Stream:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = "end"
        self._server.shutdown()
        self._server.server_close()
