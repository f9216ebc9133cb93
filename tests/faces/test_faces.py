"""The one name for finding and aligning faces: complete, light, and without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from face_images import portrait

from fer_utils import faces, paths


def test_every_public_name_is_there():
    for name in faces.__all__:
        assert getattr(faces, name) is not None


def test_find_and_align_a_face():
    with faces.Detector() as detector:
        (face,) = detector.detect(portrait())
    aligned = faces.align(portrait(), face.landmarks)
    assert aligned.shape == (48, 48, 3) and aligned.dtype == np.uint8


def test_detection_needs_no_tensorflow():
    code = (
        "import sys, numpy as np\n"
        "from fer_utils import faces\n"
        "with faces.Detector() as d: d.detect(np.zeros((60, 60, 3), np.uint8))\n"
        "heavy = {'tensorflow', 'keras', 'mtcnn', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT, timeout=120)
