"""Train a recipe, from its initial weights to a stored run: `python -m fer_utils.training xception --publish`."""

import argparse
import dataclasses
import json

STRATEGIES = {"mirrored": "MirroredStrategy", "multi_worker": "MultiWorkerMirroredStrategy"}


def _value(text: str) -> object:
    """A field's value: JSON where it is JSON, text elsewhere."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.training", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="The same command goes on where a killed run was stopped; its state lies in FER_CHECKPOINTS/<run>/.\n"
        "Several machines: TF_CONFIG names them, and FER_CHECKPOINTS a folder that they share.",
    )
    parser.add_argument("recipe", nargs="?", help="one of --list")
    parser.add_argument("--list", action="store_true", help="list the recipes and studies, train nothing")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="FIELD=VALUE",
                        help="change fields: epochs=4 batch_size=32")
    parser.add_argument("--public-only", action="store_true", help="to choose settings: no PrivateTest, nothing stored")
    parser.add_argument("--publish", action="store_true", help="export to models/<run>.onnx, check and list it")
    parser.add_argument("--int8", action="store_true", help="train nothing: write the int8 copy of the published run")
    parser.add_argument("--distribute", choices=sorted(STRATEGIES), help="over all GPUs, or the machines in TF_CONFIG")
    options = parser.parse_args(arguments)
    strategy = None
    if options.distribute:  # it must exist before TensorFlow does anything else
        import tensorflow as tf

        strategy = getattr(tf.distribute, STRATEGIES[options.distribute])()
    from fer_utils import data, paths, training
    from fer_utils.training._publish import publish_int8

    known = {**training.RECIPES, **training.STUDIES}
    if options.list:
        print("\n".join(known))
        return
    if options.recipe not in known:
        parser.error(f"argument recipe: must be one of {', '.join(known)}; got {options.recipe}")
    try:
        changes = {name: _value(text) for name, _, text in (item.partition("=") for item in options.set)}
        config = dataclasses.replace(known[options.recipe], **changes)
    except (TypeError, ValueError) as wrong:  # no such field, or out of range
        parser.error(f"argument --set: {wrong}")
    fer = data.load()
    print(data.describe(fer), flush=True)
    onnx = paths.models_dir() / f"{config.run}.onnx"
    if options.int8:
        entry = publish_int8(config.run, fer)
        print(f"exported   {onnx.with_stem(config.run + '_int8')} (PublicTest accuracy {-entry['public_loss']:+.2%})")
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
        print(f"exported   {onnx} (differs from Keras by at most {entry['parity']:.1e})")
        print(f"listed     {onnx.with_name('manifest.json')}")
        print(f"try it     python -m fer_utils.realtime --model {config.run}")


if __name__ == "__main__":
    main()
