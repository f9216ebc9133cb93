"""What the browser test needs: JupyterLab on a free port, and Chromium whose camera plays the embedded clip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import cv2
import nbformat

from fer_utils import paths
from fer_utils.realtime.opening import open_source

T = TypeVar("T")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "needs Chromium and its driver: apt-get install chromium chromium-driver"
NOT_LOCAL = "notlocal.test"  # resolves to this machine in the browser only, which does not take it for localhost

# --no-sandbox: Chromium does not start as root with its sandbox, and it loads nothing but our own page here.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,1000",
    f"--host-resolver-rules=MAP {NOT_LOCAL} 127.0.0.1",
)
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def until(ask: Callable[[], T], *, seconds: float = 40, what: str = "") -> T:
    """The first true answer of `ask`; fails the test when none came in time."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what or 'nothing'} after {seconds} s"
        time.sleep(0.1)
    return answer


def capture_file(path: Path) -> Path:
    """Every second frame of the embedded clip as motion JPEG, which Chromium's fake camera plays in a loop."""
    with open_source("clip") as source:
        frames = [frame.image for frame in source][::2]
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes() for frame in frames))
    return path


def write_notebook(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    # Without it JupyterLab would ask for the kernel.
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """JupyterLab with `folder` as its home and everything else it reads or writes; yields its address."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "XDG_"))}
    environment = kept | {
        "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "PYTHONPATH": str(paths.ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": "0", "ServerApp.open_browser": "False",
        "ServerApp.root_dir": str(folder), "ServerApp.allow_root": "True", "ServerApp.allow_remote_access": "True",
        "IdentityProvider.token": "", "ServerApp.password": "", "LabApp.expose_app_in_browser": "True",
        # The test stays on this machine.
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    log = folder / "lab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        files = home / "runtime"
        found = until(lambda: list(files.glob("jpserver-*.json")) or server.poll(), what="no JupyterLab")
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        yield json.loads(found[0].read_text())["url"]
    finally:
        server.terminate()  # it ends its kernels first
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[object]:
    """A selenium WebDriver on a browser that nobody has used before."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    # The driver is named, so that selenium does not look for one on the network.
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def address(url: str, host: str, notebook: Path) -> str:
    """The page of one notebook; `reset` leaves alone whatever another test had open."""
    return f"http://{host}:{urlsplit(url).port}/lab/tree/{notebook.name}?reset"


def run_all_cells(driver) -> None:
    """What the menu Run, Run All Cells does, once the notebook's kernel answers."""
    ready = """
        const panel = window.jupyterapp?.shell.currentWidget, session = panel?.sessionContext;
        return session?.isReady && session.session?.kernel?.status === "idle";
    """
    until(lambda: driver.execute_script(ready), what="no notebook with a kernel in the page")
    driver.execute_script("window.jupyterapp.commands.execute('notebook:run-all-cells')")


def printed(driver, start: str) -> str:
    """The line beginning with `start` that a cell printed, or nothing."""
    texts = (output.text for output in driver.find_elements("css selector", ".jp-OutputArea-output"))
    return next((line for text in texts for line in text.splitlines() if line.startswith(start)), "")


class View:
    """The widget in the page, by what a user sees of it."""

    def __init__(self, driver) -> None:
        self.driver = driver
        self._find = lambda selector: driver.find_elements("css selector", f".fer-camera {selector}")
        until(lambda: self._find(".said"), what="no widget in the page")
        # What the page itself asks the browser for is kept, to see later whether it was given back.
        driver.execute_script("""
            const devices = navigator.mediaDevices, ask = devices?.getUserMedia.bind(devices);
            window.given = [];
            if (ask) devices.getUserMedia = async (wish) => {
                const stream = await ask(wish);
                window.given.push(...stream.getTracks());
                return stream;
            };
        """)

    def said(self) -> str:
        return self._find(".said")[0].text

    def button(self, name: str):
        return next(button for button in self._find("button") if button.text == name)

    def picture(self) -> str:
        """The annotated picture as a data URL."""
        return self.driver.execute_script("return document.querySelector('.fer-camera canvas').toDataURL()")

    def tracks(self) -> list[str]:
        """The state of every media track that the page was given: live or ended."""
        return self.driver.execute_script("return window.given.map((track) => track.readyState)")
