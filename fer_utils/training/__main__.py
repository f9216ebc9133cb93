"""Train a recipe, from its initial weights to a stored run: `python -m fer_utils.training xception --publish`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import typing

if typing.TYPE_CHECKING:
    import tensorflow as tf

STRATEGIES = {"mirrored": "MirroredStrategy", "multi_worker": "MultiWorkerMirroredStrategy"}


def _strategy(name: str | None) -> tf.distribute.Strategy | None:
    """It must exist before TensorFlow does anything else."""
    if name is None:
        return None
    import tensorflow as tf

    return getattr(tf.distribute, STRATEGIES[name])()


def _changes(items: list[str], error: typing.Callable[[str], typing.NoReturn]) -> dict[str, object]:
    """`--set` as fields of TrainConfig: JSON where it is JSON, text elsewhere."""
    from fer_utils.training import TrainConfig

    names, found = [field.name for field in dataclasses.fields(TrainConfig)], {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or name not in names:
            error(f"argument --set: must be FIELD=VALUE, FIELD one of {', '.join(names)}; got {item}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.training", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="The same command goes on where a killed run was stopped; its state lies in FER_CHECKPOINTS/<run>/.\n"
        "Several machines: TF_CONFIG names them, and FER_CHECKPOINTS a folder that they share.",
    )
    parser.add_argument("recipe", nargs="?", help="one of --list")
    parser.add_argument("--list", action="store_true", help="list the recipes and studies, train nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="change fields: batch_size=32")
    parser.add_argument("--public-only", action="store_true", help="to choose settings: no PrivateTest, nothing stored")
    parser.add_argument("--publish", action="store_true", help="export to models/<run>.onnx, check and list it")
    parser.add_argument("--int8", action="store_true", help="train nothing: write the int8 copy of the published run")
    parser.add_argument("--distribute", choices=sorted(STRATEGIES), help="over all GPUs, or the machines in TF_CONFIG")
    options = parser.parse_args(arguments)
    strategy = _strategy(options.distribute)
    from fer_utils import data, training

    known = {**training.RECIPES, **training.STUDIES}
    if options.list:
        print("\n".join(known))
        return
    if options.recipe not in known:
        parser.error(f"argument recipe: must be one of {', '.join(known)}; got {options.recipe}")
    try:
        config = dataclasses.replace(known[options.recipe], **_changes(options.set, parser.error))
    except ValueError as wrong:
        parser.error(f"argument --set: {wrong}")
    fer = data.load()
    print(data.describe(fer), flush=True)
    if options.int8:
        entry = training.publish_int8(config.run, fer)
        print(f"exported   {entry['path']} (PublicTest accuracy {-entry['public_loss']:+.2%})")
        return
    run = training.train(config, fer, strategy=strategy, public_only=options.public_only)
    if isinstance(run, dict):
        return
    private = run.metrics["private"]
    print(f"PrivateTest, calibrated, single crop: accuracy {private['accuracy']:.4f}, "
          f"macro-F1 {private['macro_f1']:.4f} (n {private['n']:,})")
    print(f"stored     {run.folder}")
    if options.publish:
        entry = training.publish(config.run, fer)
        print(f"exported   {entry['path']} (differs from Keras by at most {entry['parity']:.1e})")
        print(f"listed     {entry['manifest']}")
        print(f"try it     python -m fer_utils.realtime --model {config.run}")


if __name__ == "__main__":
    main()
