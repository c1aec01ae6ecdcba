"""Run the tap as `python -m tap_voicecalls`."""

from __future__ import annotations

from tap_voicecalls.tap import TapVoiceCalls

TapVoiceCalls.cli()
