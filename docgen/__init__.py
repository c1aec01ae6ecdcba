"""Generated documentation of the tap's settings and streams."""

from __future__ import annotations

from pathlib import Path

from docgen.about import about
from docgen.env_example import env_example
from docgen.hub import hub
from docgen.meltano_yml import meltano_yml
from docgen.planning import planning
from docgen.readme import readme
from docgen.snapshots import snapshots

PROJECT = Path(__file__).parents[1]


def generated_files() -> dict[str, str]:
    """Return the up-to-date content of each file with generated parts, by path."""
    tap = about()
    return {
        "README.md": readme((PROJECT / "README.md").read_text("utf-8"), tap),
        ".env.example": env_example((PROJECT / ".env.example").read_text("utf-8"), tap),
        "meltano.yml": meltano_yml((PROJECT / "meltano.yml").read_text("utf-8"), tap),
        "hub/tap-voicecalls.yml": hub(tap),
        "docs/planning.md": planning((PROJECT / "docs/planning.md").read_text("utf-8")),
        **{f"tests/snapshots/{name}.json": text for name, text in snapshots(tap).items()},
    }
