"""What decides a run."""

import dataclasses

import pytest

from fer_utils.models._build import base_name
from fer_utils.training.config import BALANCING, RECIPES, Config


@pytest.mark.parametrize("changes, words", [
    ({"run": "vgg"}, "must begin with"), ({"epochs": 0}, "at least 1"), ({"side": 64}, "image_size: must lie in 71"),
    ({"side": 225}, "must lie in 71 … 224"), ({"augmentation": {"blur": 1}}, "among"),
    ({"teacher": "xception"}, "mixup 0"), ({"teacher": "xception", "mixup": 0, "loss": "focal"}, "loss focal"),
    ({"teacher": "xception+xception_aligned", "mixup": 0}, "must know the faces that its student sees"),
    ({"teacher": "xception", "mixup": 0, "aligned": True}, "got xception with aligned True"),
    ({"other": 1.5}, "other: must lie"), ({"teacher": "xception", "mixup": 0, "other": 0.5}, "be 0 with a teacher"),
    ({"distillation": 1.5}, "distillation"), ({"views": 0}, "views"), ({"average": True}, "needs a run to start from"),
    ({"epoch_rows": 95}, "at least one batch"), ({"mixup_until": 1.5}, "mixup_until: must lie"),
    ({"half": 2}, "half: must be 0, 1 or None"), ({"half": 0, "aligned": True}, "dealt by whole frames"),
    ({"judges": "a+b"}, "only translated votes take answers"), ({"half": 0, "other": 0.5}, "dealt by whole frames"),
    ({"statistics": -1}, "statistics: must be a number of faces, 0 for none; got -1"),
])
def test_bad_configurations(changes, words):
    with pytest.raises(ValueError, match=words):
        Config(**{"run": "xception", **changes})


def test_a_recipes_start_is_a_recipe_of_the_same_backbone():
    for name, recipe in RECIPES.items():
        assert recipe.run == name
        if recipe.start:
            start = RECIPES[recipe.start]
            assert base_name(start.run) == base_name(name) and start.side <= recipe.side


def test_before_and_after_alignment_only_the_pixels_differ():
    before, after = (dataclasses.asdict(RECIPES[name]) for name in ("xception", "xception_aligned"))
    assert {key for key in before if before[key] != after[key]} == {"run", "aligned"}


def test_runs_that_are_compared_differ_in_what_is_compared_only():
    plain = dataclasses.asdict(RECIPES["mobilenet_v3_large_labels"])
    for name, changes in BALANCING.items():
        recipe = dataclasses.asdict(RECIPES[f"mobilenet_v3_large_{name}"])
        assert {key for key in plain if plain[key] != recipe[key]} == {"run", "epochs", "epoch_rows", *changes}
        # An epoch over all 28,011 rows has as many steps.
        assert recipe["epoch_rows"] // recipe["batch"] == 28_011 // plain["batch"]
