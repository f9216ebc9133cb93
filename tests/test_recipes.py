"""What decides a run."""

import pytest

from fer_utils.models import base_name
from fer_utils.recipes import RECIPES, Config


@pytest.mark.parametrize("changes, words", [
    ({"run": "vgg"}, "must start with"), ({"epochs": 0}, "at least 1"), ({"side": 64}, "side: must lie in 71"),
    ({"side": 128}, "side: must lie in 71"), ({"augmentation": {"blur": 1}}, "among"),
    ({"teacher": "xception"}, "mixup 0"), ({"teacher": "xception", "mixup": 0, "loss": "focal"}, "loss focal"),
    ({"distillation": 1.5}, "distillation"), ({"views": 0}, "views"), ({"average": True}, "needs a run to start from"),
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
