"""The command: what it lists and what it refuses, before anything is trained."""

import pytest

from fer_utils.training import RECIPES, STUDIES
from fer_utils.training.__main__ import main


def test_list_names_every_run(capsys):
    main(["--list"])
    assert capsys.readouterr().out.split() == [*RECIPES, *STUDIES]


@pytest.mark.parametrize("arguments, name", [
    (["vgg16"], "recipe"), ([], "recipe"), (["resnet18", "--set", "size=3"], "size"),
    (["resnet18", "--set", "epochs=0"], "epochs"), (["resnet18", "--set", "size=3", "--set", "epochs=1"], "size"),
])
def test_what_is_refused_is_named(arguments, name, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert name in capsys.readouterr().err
