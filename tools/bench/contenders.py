"""Who takes part: for each contender a short function that loads it and returns what to call with a frame.

Nothing is imported before a contender is loaded: the same file serves in all environments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["CONTENDERS", "EQUAL", "HEAVY", "LIGHT", "Adapter", "Contender", "find_contender", "missing_model"]

HEAVY, LIGHT = "xception", "mobilenet_v3_large"
EQUAL = {"min_face_size": 20, "scale_factor": 0.709}
THRESHOLDS = (0.6, 0.7, 0.7)  # P-, R- and O-Net; facenet-pytorch's defaults, and ours
FACE = "face"  # what a detector without a classifier calls what it finds
WHOLE = 100_000  # pixels; wider than any frame, so that none is reduced


@dataclass(frozen=True)
class Adapter:
    """A loaded contender.

    find : called with a frame (uint8 [H, W, 3]) and its time in seconds, returns a label for each face found.
    classify : called with FER2013's images (uint8 [N, 48, 48]), returns class numbers in FER2013's order.
    bgr : the package documents BGR as its colour order.
    """

    find: Callable[[np.ndarray, float], Sequence[str]]
    classify: Callable[[np.ndarray], np.ndarray] | None = None
    bgr: bool = False


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    name : in files and on the command line. title : in the table. load : makes the adapter.
    labels : whether it names expressions; otherwise it detects only.
    environment : where it runs, a file in requirements/; "": this project, in its own environment.
    packages : those whose versions are recorded. model : the file in models/ that it needs.
    classifier : contenders of one classifier share its accuracy.
    """

    name: str
    title: str
    load: Callable[[], Adapter]
    labels: bool
    environment: str
    packages: tuple[str, ...]
    model: str = ""
    classifier: str = ""

    @property
    def own(self) -> bool:
        """Whether it is this project."""
        return not self.environment


def _ours(model: str, **settings: object) -> Callable[[], Adapter]:
    def load() -> Adapter:
        from fer_utils.realtime import Frame, Pipeline, Settings

        pipe = Pipeline(Settings(model=model, **settings))

        def classify(images: np.ndarray) -> np.ndarray:
            from fer_utils.faces import to_inputs

            return pipe.classifier.predict(to_inputs(images)).argmax(1)

        return Adapter(lambda image, t: [track.text for track in pipe(Frame(image, t, 0)).tracks], classify)

    return load


def _our_detector() -> Adapter:
    from fer_utils.faces import Detector

    detector = Detector(thresholds=THRESHOLDS, min_face_size=EQUAL["min_face_size"])
    return Adapter(lambda image, _: [FACE for _ in detector.detect(image)])


def _our_search() -> Adapter:
    """What the pipeline does with a detection frame: search a copy 320 pixels across, refine at full size."""
    from fer_utils.realtime import Settings
    from fer_utils.realtime.search import Search

    search, width = Search(threads=2), Settings().detect_width
    return Adapter(lambda image, _: [FACE for _ in search.now(image, width)])


def _blazeface(model: int) -> Callable[[], Adapter]:
    def load() -> Adapter:
        from mediapipe.python.solutions.face_detection import FaceDetection

        detector = FaceDetection(model_selection=model)
        return Adapter(lambda image, _: [FACE for _ in detector.process(image).detections or ()])

    return load


def _mtcnn() -> Adapter:
    from mtcnn import MTCNN

    detector = MTCNN(device="CPU:0")
    names = ("threshold_pnet", "threshold_rnet", "threshold_onet")
    options = EQUAL | dict(zip(names, THRESHOLDS, strict=True))
    return Adapter(lambda image, _: [FACE for _ in detector.detect_faces(image, **options)])


def _facenet() -> Adapter:
    from facenet_pytorch import MTCNN

    detector = MTCNN(
        keep_all=True, min_face_size=EQUAL["min_face_size"], factor=EQUAL["scale_factor"], thresholds=list(THRESHOLDS)
    )

    def find(image: np.ndarray, _: float) -> list[str]:
        boxes, _ = detector.detect(image)
        return [] if boxes is None else [FACE for _ in boxes]

    return Adapter(find)


def _fer() -> Adapter:
    # fer loads TensorFlow before PyTorch, and in that order today's versions crash: the other way round they work.
    import facenet_pytorch  # noqa: F401, I001
    import cv2
    from fer.fer import FER

    fer = FER(mtcnn=True)

    def find(image: np.ndarray, _: float) -> list[str]:
        return [max(face["emotions"], key=face["emotions"].get) for face in fer.detect_emotions(image)]

    def classify(images: np.ndarray) -> np.ndarray:
        # As `detect_emotions` prepares a face; its class names stand in FER2013's order.
        inputs = np.stack([cv2.resize(image, (64, 64)) for image in images]).astype(np.float32)
        return np.asarray(fer._classify_emotions((inputs / 255 - 0.5) * 2)).argmax(1)

    return Adapter(find, classify, bgr=True)


def _facex() -> Adapter:
    import facex

    model = facex.EmotionClassifier(str(Path(facex.__file__).parent / "assets" / "model_optimized.tflite"))
    order = ("anger", "disgust", "fear", "happy", "sadness", "surprised", "neutral")  # its names, in FER2013's order

    def find(image: np.ndarray, _: float) -> list[str]:
        return [max(face["emot"], key=face["emot"].get) for face in model.predict(image)]

    def classify(images: np.ndarray) -> np.ndarray:
        return np.array([np.argmax([scores[name] for name in order]) for scores in map(model.detect_emotion, images)])

    return Adapter(find, classify, bgr=True)


PEERS, MEDIAPIPE = "peers", "mediapipe"
OURS, TORCH = ("onnxruntime", "opencv-python", "opencv-python-headless"), ("torch", "torchvision")
CONTENDERS = (
    Contender("ours-light", "ours, MobileNetV3-Large", _ours(LIGHT), True, "", OURS, LIGHT, LIGHT),
    Contender("ours-heavy", "ours, Xception", _ours(HEAVY), True, "", OURS, HEAVY, HEAVY),
    Contender(
        "ours-every", "ours, Xception, no tracking", _ours(HEAVY, detect_every=1), True, "", OURS, HEAVY, HEAVY
    ),
    Contender(
        "ours-whole", "ours, Xception, no tracking, full size",
        _ours(HEAVY, detect_every=1, detect_width=WHOLE), True, "", OURS, HEAVY, HEAVY,
    ),
    Contender("fer", "fer, MTCNN", _fer, True, PEERS, ("fer", "tensorflow", "facenet-pytorch", *TORCH), "", "fer"),
    Contender("facex", "facex, Haar cascade", _facex, True, PEERS, ("facex", "tensorflow"), "", "facex"),
    Contender("ours-detect", "ours, MTCNN alone", _our_detector, False, "", OURS),
    Contender("ours-search", "ours, MTCNN on a copy of 320 px", _our_search, False, "", OURS),
    Contender("blazeface-full", "mediapipe, BlazeFace full range", _blazeface(1), False, MEDIAPIPE, ("mediapipe",)),
    Contender("blazeface-short", "mediapipe, BlazeFace short range", _blazeface(0), False, MEDIAPIPE, ("mediapipe",)),
    Contender("mtcnn", "mtcnn", _mtcnn, False, PEERS, ("mtcnn", "tensorflow")),
    Contender("facenet", "facenet-pytorch, MTCNN", _facenet, False, PEERS, ("facenet-pytorch", *TORCH)),
)


def find_contender(name: str) -> Contender:
    """The contender of that name; ValueError names those there are."""
    for contender in CONTENDERS:
        if contender.name == name:
            return contender
    raise ValueError(f"name: must be one of {', '.join(c.name for c in CONTENDERS)}; got {name!r}")


def missing_model(contender: Contender) -> str:
    """Why a contender cannot take part: its model is not in models/; "" when nothing is missing."""
    from fer_utils import paths

    there = not contender.model or (paths.models_dir() / f"{contender.model}.onnx").is_file()
    return "" if there else f"models/{contender.model}.onnx is not there"
