"""Configurations: what is refused, and what the recipes have in common."""

import dataclasses

import pytest

from fer_utils.training import RECIPES, STUDIES, TrainConfig


def test_a_run_is_named_after_its_backbone():
    assert TrainConfig("resnet18").run == "resnet18"
    assert TrainConfig("resnet18", aligned=True).run == "resnet18_aligned"
    assert TrainConfig("resnet18", run="mine").run == "mine"


@pytest.mark.parametrize("field, value", [
    ("backbone", "vgg16"), ("run", "My Run"), ("run", "../x"), ("epochs", 0),
    ("batch_size", 0), ("steps_per_epoch", 0), ("learning_rate", 0), ("warmup_epochs", -1), ("weight_decay", -0.1),
    ("ema_momentum", 1.0), ("dropout", 1.0), ("label_smoothing", 1.1), ("vote_weight", -0.1), ("mixup_alpha", -1),
    ("augmentation", {"blur": 1}), ("loss", "hinge"), ("sampling", "smote"), ("sampling", "over:0"),
    ("sampling", "over:x"), ("precision", "float16"),
])
def test_a_field_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        TrainConfig(**{"backbone": "resnet18", field: value})


def test_one_recipe_for_all():
    """What may differ is named; all else is equal, so the table compares like with like."""
    own = {"backbone", "run", "init", "learning_rate", "batch_size", "aligned"}
    shared = [{k: v for k, v in dataclasses.asdict(config).items() if k not in own} for config in RECIPES.values()]
    assert len(RECIPES) == 8 and all(fields == shared[0] for fields in shared)
    for config in RECIPES.values():
        twin = RECIPES[config.backbone if config.aligned else config.backbone + "_aligned"]
        assert dataclasses.replace(config, run=twin.run, aligned=twin.aligned) == twin


def test_the_studies_change_one_thing_and_have_the_same_budget():
    imbalance = [config for name, config in STUDIES.items() if name.startswith("imbalance_")]
    assert len(imbalance) == 9
    baseline = dataclasses.asdict(STUDIES["imbalance_baseline"])
    for config in imbalance:
        changed = {k for k, v in dataclasses.asdict(config).items() if v != baseline[k]} - {"run"}
        assert len(changed) <= 1 and changed <= {"loss", "sampling"}
    assert not set(STUDIES) & set(RECIPES)
    assert all(name == config.run for name, config in [*RECIPES.items(), *STUDIES.items()])
