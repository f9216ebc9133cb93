"""The sound of a video file, kept in the annotated video where ffmpeg is installed. OpenCV reads and writes none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from fer_utils import paths

__all__ = ["keep_sound"]


def keep_sound(video: str | Path, source: str | Path) -> str | None:
    """Give `video`, a silent copy of `source` that may end earlier, the source's sound.

    The pictures are copied as they are; the sound too where the container of `video` can hold it, otherwise it is
    encoded again. The file is replaced in one step: whatever goes wrong, the silent video stays.

    Returns
    -------
    None when the sound was added or the source has none, else one sentence for the user.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        return f"{Path(video).name} has no sound: ffmpeg, which could copy it, is not installed"
    inputs = ["-v", "error", "-nostdin", "-y", "-i", str(video), "-i", str(source)]
    chosen = ["-map", "0:v:0", "-map", "1:a?", "-c:v", "copy", "-shortest"]
    reason = ""
    for codec in (["-c:a", "copy"], []):
        try:
            with paths.atomic(video) as temporary:
                subprocess.run(
                    [program, *inputs, *chosen, *codec, str(temporary)], check=True, capture_output=True, text=True
                )
            return None
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or "").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        except OSError as error:
            reason = [str(error)]
    return f"{Path(video).name} has no sound: ffmpeg could not copy it ({reason[0]})"
