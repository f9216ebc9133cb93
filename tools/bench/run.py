"""The driver: `python -m tools.bench.run` runs all contenders in turn and writes table and figure.

    python -m tools.bench.run                          # everything, about 8 minutes on two cores; stored
    python -m tools.bench.run --quick --only ours-heavy fer     # a part, printed only
    python -m tools.bench.run --accuracy               # our models' accuracy again, the stored speeds stay
    python -m tools.bench.run --table                  # the table of the stored run, nothing is run

See the package's docstring for what makes the comparison fair.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_utils import paths
from tools.bench import environment, frames, machine
from tools.bench.contenders import CONTENDERS, Contender, missing_model
from tools.bench.frames import SCENES, Scene
from tools.bench.goals import lines as goal_lines
from tools.bench.process import Process, WorkerError
from tools.bench.results import entry, scene_results
from tools.bench.table import table

__all__ = ["QUICK", "Plan", "main", "refresh", "run", "table"]

BUSY = 0.1  # share of the machine's cores
NAME = "bench"  # of the figure and the file beside it
Say = Callable[[str], object]


@dataclass(frozen=True)
class Plan:
    """How much is run.

    rounds, frames : rounds of a scene and frames counted in each, by the height of its pictures. Multiples of ten
    frames hold whole turns of our pipeline, which searches every tenth frame for new faces. Slow contenders need half
    a second and more for a picture of 720 lines: fewer of those keep the run short.
    starts : how often everyone is started. warm_up, lead : frames not counted, of a scene and of a round.
    """

    rounds: dict[int, int] = field(default_factory=lambda: {480: 5, 720: 3})
    frames: dict[int, int] = field(default_factory=lambda: {480: 20, 720: 10})
    starts: int = 3
    warm_up: int = 4
    lead: int = 1


QUICK = Plan({480: 2, 720: 1}, {480: 10, 720: 10}, starts=1)


class Run:
    """The state of a run: who is alive, and what has been recorded of each (`records`, by name)."""

    def __init__(self, contenders: Sequence[Contender], files: dict[Scene, Path], plan: Plan, say: Say) -> None:
        self.contenders, self.files, self.plan, self.say = contenders, files, plan, say
        self.alive: dict[str, Process] = {}
        self.records = {contender.name: entry(contender) for contender in contenders}

    def start(self, stack: ExitStack, python: Callable[[Contender], Path]) -> None:
        """Start every contender `plan.starts` times, in turn; the last process stays."""
        scene, path = next(iter(self.files.items()))
        for number in range(self.plan.starts):
            for contender in self.contenders:
                record = self.records[contender.name]
                if record["status"]:
                    continue
                reason = missing_model(contender)
                if reason:
                    self._drop(contender.name, f"left out: {reason}")
                    continue
                try:
                    process = Process(contender, python(contender), path, scene)
                except WorkerError as error:
                    self._drop(contender.name, f"did not start: {error}")
                    continue
                record["starts"].append(round(process.start_seconds, 3))
                record |= {"versions": process.ready["versions"], "python": process.ready["python"]}
                if number < self.plan.starts - 1:
                    process.close()
                else:
                    self.alive[contender.name] = stack.enter_context(process)

    def scene(self, scene: Scene, offset: float) -> None:
        """All rounds of one scene; `offset`: seconds that its first frame stands for."""
        plan, count, rounds = self.plan, self.plan.frames[scene.height], self.plan.rounds[scene.height]
        question = {"do": "run", "file": str(self.files[scene]), "width": scene.width, "height": scene.height}
        question["time"] = offset
        for name in list(self.alive):
            self._ask(name, **question, start=0, stop=plan.warm_up, lead=0)
        for number in range(rounds):
            start = plan.warm_up + number * (count + plan.lead) + plan.lead
            names = list(self.alive)
            turn = number % max(1, len(names))
            for name in names[turn:] + names[:turn]:
                reply = self._ask(name, **question, start=start, stop=start + count, lead=plan.lead)
                if reply:
                    self.records[name]["pieces"].setdefault(scene.name, []).append(reply)
        self.say(f"  {scene.title}: {rounds} rounds of {count} frames")

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Accuracy of every classifier on the same images; contenders that share one share the number."""
        known: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/images.npz", images=images)
            for contender in self.contenders:
                if contender.classifier and contender.classifier not in known and contender.name in self.alive:
                    reply = self._ask(contender.name, do="classify", file=f"{folder}/images.npz")
                    if reply:
                        known[contender.classifier] = float(np.mean(np.array(reply["predicted"]) == labels))
                if contender.classifier in known and not self.records[contender.name]["status"]:
                    self.records[contender.name]["accuracy"] = known[contender.classifier]

    def _ask(self, name: str, **question: object) -> dict[str, Any] | None:
        try:
            return self.alive[name].ask(**question)
        except WorkerError as error:
            del self.alive[name]
            self._drop(name, f"stopped: {error}")
            return None

    def _drop(self, name: str, reason: str) -> None:
        self.records[name]["status"] = reason
        self.say(f"  {self.records[name]['title']}: {reason}")


def run(
    contenders: Sequence[Contender] = CONTENDERS, scenes: Sequence[Scene] = SCENES, *, plan: Plan | None = None,
    private_test: tuple[np.ndarray, np.ndarray] | None = None, peers: Path = environment.FOLDER, say: Say = print,
) -> dict[str, Any]:
    """Run the benchmark and return its results, as bench.json holds them.

    private_test : images (uint8 [N, 48, 48]) and labels for the accuracy. peers : the other packages' environments.
    """
    plan, began = plan or Plan(), time.time()
    described = machine.describe() | {"busy": machine.busy()}
    if described["busy"] > BUSY:
        say(f"note: other programs keep {described['busy']:.0%} of the machine busy: the numbers will be too slow")
    say("frames")
    files = {scene: frames.write(scene, paths.cache_dir()) for scene in scenes}
    work = Run(contenders, files, plan, say)
    with ExitStack() as stack:
        say(f"starting {len(contenders)} contenders, {plan.starts} times each")
        work.start(stack, lambda contender: environment.interpreter(contender.environment, peers))
        say(f"timing {', '.join(work.alive) or 'nobody'}")
        for number, scene in enumerate(scenes):
            work.scene(scene, offset=1000.0 * number)  # so far apart that no track lives on
        if private_test:
            say(f"classifying PrivateTest, {len(private_test[1])} images")
            work.accuracy(*private_test)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "machine": described,
        "plan": asdict(plan) | {"seconds": round(time.time() - began)},
        "private_test": len(private_test[1]) if private_test else 0,
        "scenes": [{"name": scene.name, "title": scene.title, "faces": scene.faces} for scene in scenes],
        "contenders": [scene_results(record, scenes) for record in work.records.values()],
    }


def refresh(
    stored: dict[str, Any], private_test: tuple[np.ndarray, np.ndarray], *,
    contenders: Sequence[Contender] = CONTENDERS, say: Say = print,
) -> dict[str, Any]:
    """The results of a stored run with our own classifiers' accuracy measured anew.

    For a model that was trained on: it has the same layers, hence the same speed, and gives other answers.
    """
    own = [contender for contender in contenders if contender.own and contender.classifier]
    work = Run(own, {SCENES[0]: frames.write(SCENES[0], paths.cache_dir())}, QUICK, say)
    with ExitStack() as stack:
        work.start(stack, lambda contender: Path(sys.executable))
        work.accuracy(*private_test)
    measured = {name: record["accuracy"] for name, record in work.records.items() if record["accuracy"] is not None}
    entries = [entry | {"accuracy": measured.get(entry["name"], entry["accuracy"])} for entry in stored["contenders"]]
    return stored | {"contenders": entries}


def private_test() -> tuple[np.ndarray, np.ndarray] | None:
    """FER2013's PrivateTest where FER_DATA names it; None elsewhere."""
    if paths.data_source() in (None, "sample"):
        return None
    from fer_utils import data

    fer = data.load()
    if not fer.official_splits or fer.is_sample:
        return None
    part = fer.take(fer.usage == data.SPLITS.index("PrivateTest"))
    return part.images, part.labels


def save(results: dict[str, Any]) -> list[Path]:
    """Write bench.json and bench.png into the figure folder."""
    from fer_utils import figures
    from fer_utils.figures.style import save as save_figure
    from tools.bench.figure import overview

    figures.use()
    path = paths.figure_dir() / f"{NAME}.json"
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [path, save_figure(overview(results), NAME)]


def main(arguments: list[str] | None = None) -> int:
    """The command line; always 0 once it has run: a contender that fails stands in the table, not in the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.run", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[c.name for c in CONTENDERS], help="contenders")
    parser.add_argument("--quick", action="store_true", help="few frames: do all contenders work?")
    parser.add_argument("--cores", type=int, default=2, help="cores for every contender; 0: all (%(default)s)")
    parser.add_argument("--table", action="store_true", help="print the table of the stored run and end")
    parser.add_argument("--accuracy", action="store_true", help="measure our models' accuracy again, keep the speeds")
    options = parser.parse_args(arguments)
    if options.table:
        print(table(_stored()))
        return 0
    if options.accuracy:
        part = private_test()
        if part is None:
            parser.error("--accuracy: needs FER2013 with its official splits; name it in FER_DATA")
        return _store(refresh(_stored(), part))
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    chosen = [c for c in CONTENDERS if not options.only or c.name in options.only]
    results = run(chosen, plan=QUICK if options.quick else Plan(), private_test=private_test())
    print("", table(results), "", *goal_lines(results), sep="\n")
    if options.quick or options.only:
        print("nothing is stored: this was a part of the benchmark")
        return 0
    return _store(results)


def _stored() -> dict[str, Any]:
    return json.loads((paths.figure_dir() / f"{NAME}.json").read_text(encoding="utf-8"))


def _store(results: dict[str, Any]) -> int:
    from tools import report

    for path in save(results):
        print(f"wrote {path}")
    return report.main([str(report.DOCUMENTS[0])])


if __name__ == "__main__":
    sys.exit(main())
