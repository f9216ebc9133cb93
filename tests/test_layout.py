"""Every module has its test file, and environment variables are read in one place."""

import re

import pytest

from fer_utils import paths

PACKAGE = paths.ROOT / "fer_utils"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_has_its_test_file(path):
    name = "_".join(path.relative_to(PACKAGE).with_suffix("").parts)
    assert (paths.ROOT / "tests" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_environment_variables_are_read_in_paths_only(path):
    reads = re.findall(r"(?:environ|getenv)\b[^\n]*[\"']FER_", path.read_text(encoding="utf-8"))
    assert path.stem == "paths" or not reads
