"""The project metadata from pyproject.toml."""

from __future__ import annotations

import sys
from typing import Any

from demo.meltano import PROJECT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())
METADATA: dict[str, Any] = PYPROJECT["project"]
#: The Python versions that the tap supports.
PYTHONS = [
    version
    for classifier in METADATA["classifiers"]
    if (version := classifier.rpartition(" :: ")[2]).startswith("3.")
]
