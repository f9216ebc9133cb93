"""The `mtcnn` package (TensorFlow) behind `Detector`'s interface: the reference that parity is measured against."""

from __future__ import annotations

import os

import numpy as np

from fer_utils.faces import Face
from fer_utils.faces.mtcnn import _face


class PackageDetector:
    """`detect` and `refine` as in `fer_utils.faces.Detector`."""

    def __init__(self, *, min_face_size: float = 20, thresholds=(0.6, 0.7, 0.7), fit_to_image: bool = True):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from mtcnn import MTCNN

        self._mtcnn = MTCNN(device="CPU:0")
        self._options = {"min_face_size": min_face_size, "scale_factor": 0.709, "fit_to_image": fit_to_image,
                         **dict(zip(("threshold_pnet", "threshold_rnet", "threshold_onet"), thresholds, strict=True))}

    def detect(self, image: np.ndarray) -> list[Face]:
        rows = self._mtcnn.detect_faces(image, output_type="numpy", box_format="xyxy", **self._options)
        return [_face(row) for row in rows.reshape(-1, 16).astype(np.float64)]

    def refine(self, image: np.ndarray, box: tuple[float, float, float, float]) -> Face:
        from mtcnn.utils.bboxes import limit_bboxes, resize_to_square

        x, y, width, height = box
        square = resize_to_square(np.array([[0, x, y, x + width, y + height, 0]], np.float64))
        rows = self._mtcnn.get_stage(stage_id=3)(
            bboxes_batch=square, images_normalized=(image[None] - 127.5) / 128,
            threshold_onet=self._options["threshold_onet"])
        return _face(limit_bboxes(rows.reshape(-1, 16), np.array([image.shape]), limit_landmarks=False)[0])
