"""The `mtcnn` package behind the interface of `mtcnn_onnx.Cascade`: the reference that parity is measured against."""

from __future__ import annotations

import os

import numpy as np

__all__ = ["PackageCascade"]


class PackageCascade:
    """P-Net → R-Net → O-Net by the `mtcnn` package on TensorFlow (CPU). Rows as in `mtcnn_onnx.Cascade`.

    The package finds nothing at all, without saying so, when `min_face_size` is above about 24: its last pyramid levels
    are then smaller than P-Net's window, and it swallows TensorFlow's error.
    """

    def __init__(self, *, min_face_size: float, thresholds: tuple[float, float, float], scale_factor: float,
                 fit_to_image: bool):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from mtcnn import MTCNN

        self._mtcnn = MTCNN(device="CPU:0")
        self._options = {"min_face_size": min_face_size, "scale_factor": scale_factor, "fit_to_image": fit_to_image,
                         **dict(zip(("threshold_pnet", "threshold_rnet", "threshold_onet"), thresholds, strict=True))}

    def close(self) -> None:
        """Nothing to release: TensorFlow frees the networks with the object."""

    def detect(self, images: np.ndarray) -> np.ndarray:
        """Faces in uint8 [N, H, W, 3] RGB as rows [M, 16], by image, then by falling score."""
        rows = [self._one(index, image) for index, image in enumerate(images)]
        return np.concatenate(rows) if rows else np.empty((0, 16))

    def refine(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """O-Net alone on the square around `box` (x1, y1, x2, y2) of uint8 [H, W, 3] RGB: rows [0 or 1, 16]."""
        from mtcnn.utils.bboxes import limit_bboxes, resize_to_square

        stage = self._mtcnn.get_stage(stage_id=3)
        normalized = (image[None] - 127.5) / 128
        rows = stage(bboxes_batch=resize_to_square(np.array([[0, *box, 0]], np.float64)), images_normalized=normalized,
                     threshold_onet=self._options["threshold_onet"])
        rows = rows.reshape(-1, 16)
        if not self._options["fit_to_image"]:
            return rows
        return limit_bboxes(rows, np.array([image.shape]), limit_landmarks=False)

    def _one(self, index: int, image: np.ndarray) -> np.ndarray:
        # One image a call: in a batch the package takes an error in one image for "no faces" in all of them.
        rows = self._mtcnn.detect_faces(image, output_type="numpy", box_format="xyxy", **self._options)
        rows = rows.reshape(-1, 16).astype(np.float64)
        rows[:, 0] = index
        return rows
