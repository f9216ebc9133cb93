"""FER2013 from raw pixels to a label on a live face. Each module does one thing; import the one you need."""

import os

from fer_utils import quiet

__version__ = "0.1.0"

# A user's keras.json may name another backend; the models here are TensorFlow's.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow turns oneDNN's kernels on by itself only where the CPU has AVX-512; with AVX2 they are faster too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
quiet.tensorflow()
