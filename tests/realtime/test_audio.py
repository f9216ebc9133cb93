"""Sound goes from the source into the annotated video; whatever goes wrong, the silent video stays."""

import shutil
import subprocess

import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.realtime import audio
from fer_utils.realtime import run as realtime
from fer_utils.realtime.audio import keep_sound
from fer_utils.realtime.run import Settings

FRAMES = [np.full((120, 160, 3), 60 + i, np.uint8) for i in range(50)]
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg: apt-get install ffmpeg")


def streams(path) -> str:
    """What ffmpeg says of a file's streams."""
    return subprocess.run(["ffmpeg", "-hide_banner", "-i", path], capture_output=True, text=True).stderr


def with_tone(path, *, codec="aac", seconds=2):
    silent = tools.write_video(path.with_name("silent.mp4"), FRAMES)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", silent, "-f", "lavfi", "-i", f"sine=440:duration={seconds}",
         "-c:v", "copy", "-c:a", codec, path], check=True,
    )
    return path


@needs_ffmpeg
@pytest.mark.parametrize("name, codec", [("talk.mp4", "aac"), ("talk.mkv", "flac"), ("talk.mkv", "pcm_s16le")])
def test_a_run_keeps_the_sound(tmp_path, name, codec):
    source = with_tone(tmp_path / name, codec=codec)
    model = str(tools.tiny_classifier(tmp_path / "tiny.onnx"))
    said = []
    realtime.run(source, output=tmp_path / "out.mp4", settings=Settings(model=model), say=said.append)
    assert "Audio:" in streams(tmp_path / "out.mp4"), said
    assert len(tools.read_video(tmp_path / "out.mp4")) == len(FRAMES)
    assert not [line for line in said if "no sound" in line]


@needs_ffmpeg
def test_a_run_that_ends_early_cuts_the_sound(tmp_path):
    source = with_tone(tmp_path / "talk.mp4")
    model = str(tools.tiny_classifier(tmp_path / "tiny.onnx"))
    realtime.run(source, output=tmp_path / "out.mp4", settings=Settings(model=model), max_frames=20, say=lambda _: None)
    told = streams(tmp_path / "out.mp4")
    assert "Audio:" in told and "Duration: 00:00:00.8" in told
    assert len(tools.read_video(tmp_path / "out.mp4")) == 20


@needs_ffmpeg
def test_a_source_without_sound_changes_no_picture(tmp_path):
    video = tools.write_video(tmp_path / "a.mp4", FRAMES)
    before = tools.read_video(video)
    assert keep_sound(video, tools.write_video(tmp_path / "b.mp4", FRAMES)) is None
    assert np.array_equal(before, tools.read_video(video)) and "Audio:" not in streams(video)


@needs_ffmpeg
def test_a_broken_source_leaves_the_silent_video(tmp_path):
    video = tools.write_video(tmp_path / "a.mp4", FRAMES)
    before = video.read_bytes()
    (tmp_path / "b.mp4").write_bytes(b"no video")
    said = keep_sound(video, tmp_path / "b.mp4")
    assert said.startswith("a.mp4 has no sound: ffmpeg could not copy it (") and video.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_without_ffmpeg_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(audio.shutil, "which", lambda _: None)
    assert keep_sound(tmp_path / "a.mp4", tmp_path / "b.mp4") == (
        "a.mp4 has no sound: ffmpeg, which could copy it, is not installed"
    )
