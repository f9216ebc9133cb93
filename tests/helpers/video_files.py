"""Videos as people have them, made and read with PyAV, not by the code under test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder says errors only
RATE, QUIET = 48_000, 0.5  # samples a second; seconds until the tone begins, on the sound's own clock
CLOCKS = {"mpeg4": None, "libvpx": 1_000, "libvpx-vp9": 1_000}  # ticks a second; None: one a frame


def steps(count: int = 40, *, size: tuple[int, int] = (96, 128)) -> list[np.ndarray]:
    """Gray frames, each 5 brighter than the one before: uint8 [H, W, 3]."""
    return [np.full((*size, 3), 5 * i + 20, np.uint8) for i in range(count)]


def noise(count: int = 40) -> list[np.ndarray]:
    """Frames that nothing can compress, so that bytes are spread evenly over a file."""
    return list(np.random.default_rng(0).integers(0, 256, (count, 96, 128, 3), np.uint8))


def write(path: Path, frames: Sequence[np.ndarray], *, fps: int = 20, times: Sequence[float] | None = None,
          start: float = 0.0, codec: str = "libx264", tone: float = 0.0, tone_start: float = 0.0,
          tone_codec: str = "aac", gap: tuple[float, float] = (0, 0), shape: Fraction | None = None, rotation: int = 0,
          keyframes: int = 12, **options: str) -> Path:
    """A video whose frame i is shown at times[i], or start + i / fps, with `tone` seconds of sound from `tone_start`.

    The sound is silent for QUIET seconds, then a tone; it lacks what is between the seconds of `gap`. `options` are the
    container's.
    """
    times = [start + i / fps for i in range(len(frames))] if times is None else times
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", container_options=options) as file:
        quick = {"deadline": "realtime", "cpu-used": "8"} if codec.startswith("libvpx") else {}
        video = file.add_stream(codec, rate=fps, width=width, height=height, pix_fmt="yuv420p", options=quick)
        video.gop_size = keyframes
        if codec == "mpeg4":  # AVI, where frames out of order shift the times
            video.max_b_frames = 0
        clock = video.codec_context.time_base = Fraction(1, CLOCKS.get(codec, 90_000) or fps)
        if shape:
            video.codec_context.sample_aspect_ratio = shape
        if rotation:
            video.set_display_rotation(rotation)
        packets = []
        sound = file.add_stream(tone_codec, rate=RATE, layout="mono") if tone else None
        for frame, seconds in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(frame)
            picture.time_base, picture.pts = clock, round(seconds / clock)
            packets += video.encode(picture)
        packets += video.encode(None)
        for first in range(0, round(tone * RATE), 1024):
            if gap[0] <= first / RATE < gap[1]:
                continue
            at = np.arange(first, min(first + 1024, round(tone * RATE)))
            wave = (8_000 * np.sin(at * 2 * np.pi * 440 / RATE) * (at >= QUIET * RATE)).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            samples.sample_rate, samples.time_base = RATE, Fraction(1, RATE)
            samples.pts = first + round(tone_start * RATE)
            packets += sound.encode(samples)
        packets += sound.encode(None) if sound else []
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            file.mux(packet)
    return path


def browser_recording(path: Path, frames: Sequence[np.ndarray], *, tone: float = 0.0) -> list[float]:
    """As MediaRecorder writes it: no duration, no frame duration, 17 to 66 ms between frames. Returns the times."""
    gaps = np.random.default_rng(1).choice([17, 33, 34, 50, 66], len(frames) - 1)
    times = [0.0, *(np.cumsum(gaps) / 1000)]
    write(path, frames, fps=30, times=times, codec="libvpx", tone=tone, tone_codec="libopus", live="1")
    content = bytearray(path.read_bytes())
    at = content.find(bytes.fromhex("23E383"))  # DefaultDuration becomes Void
    size = 4 + (content[at + 3] & 0x7F)
    content[at : at + size] = bytes([0xEC, 0x80 | (size - 2)]) + bytes(size - 2)
    path.write_bytes(content)
    return times


def trimmed(source: Path, path: Path, seconds: float) -> Path:
    """Without its first `seconds`, as editors cut without encoding again: packets stay, an edit list hides them."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as file:
        streams = {stream.index: file.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None:
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream_index]
                file.mux(packet)
    return path


def damaged(source: Path, path: Path, *, first: float = 0.45, last: float = 0.5) -> Path:
    """With random bytes between two shares of its length."""
    content = bytearray(source.read_bytes())
    start, end = (int(share * len(content)) for share in (first, last))
    content[start:end] = np.random.default_rng(2).bytes(end - start)
    path.write_bytes(content)
    return path


@dataclass
class Streams:
    """What a file holds: times of its frames and the first of them; begin and end of its tone, in seconds."""

    codec: str
    times: list[float]
    image: np.ndarray
    sound: str | None = None
    tone: tuple[float, float] | None = None


def read(path: Path) -> Streams:
    """A file's frames and sound."""
    with av.open(str(path)) as file:
        video = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
        codec = file.streams.video[0].codec_context.codec.canonical_name
        found = Streams(codec, [time for time, _ in video], video[0][1])
    with av.open(str(path)) as file:
        if not file.streams.audio:
            return found
        found.sound = file.streams.audio[0].codec_context.codec.canonical_name
        for frame in file.decode(audio=0):
            samples = frame.to_ndarray().astype(float)
            loud = np.abs(samples if frame.format.name.startswith("flt") else samples / 32768).max(0) > 0.05
            if loud.any():
                first, last = np.flatnonzero(loud)[[0, -1]] / frame.sample_rate + frame.time
                found.tone = (found.tone or (first,))[0], last
    return found
