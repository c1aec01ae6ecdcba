"""The program `tap-voicecalls`."""

from __future__ import annotations

from tap_voicecalls.cli import check_log_level
from tap_voicecalls.tap import TapVoiceCalls


def main() -> None:
    """Run the tap with the arguments of the command line."""
    check_log_level()  # before the SDK reads it
    TapVoiceCalls.cli()


if __name__ == "__main__":
    main()
