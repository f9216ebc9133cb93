"""`python -m tools.find_landmarks`: find FER2013's landmarks again and write models/landmarks.npz."""

import argparse

from fer_utils import data
from fer_utils.faces.landmarks import store_landmarks

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.find_landmarks", description=(
        "Find the landmarks of FER2013's faces again and write models/landmarks.npz. About 5 minutes on 2 cores."))
    parser.parse_args()
    fer = data.load()
    if fer.is_sample:
        parser.error("FER_DATA: must name FER2013; the embedded sample has no place in models/landmarks.npz")
    path = store_landmarks(fer)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
