"""The files on the command line: each is a JSON object, or the error says which one is not."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.plugin_base import _ConfigInput  # what the SDK's `invoke` takes

from tap_voicecalls.errors import VoiceCallsError

if TYPE_CHECKING:
    from collections.abc import Iterable


class JsonFile(click.ParamType):  # type: ignore[type-arg] # generic in new versions only
    """The type of an option that takes a file, which is read once: it may be a pipe."""

    name = "filename"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> io.StringIO:
        """Return the content of the file, for the SDK to read.

        Raises:
            VoiceCallsError: It is not a JSON object.
        """
        option = param.opts[0] if param else value
        text, _ = _read(option, value)
        return io.StringIO(text)


def read_config(option: str, paths: Iterable[str]) -> _ConfigInput:
    """Return the settings in config files, of which the later ones take precedence.

    Args:
        option: The option that names the files, for the error message.
        paths: The paths; `ENV` stands for the environment.

    Raises:
        VoiceCallsError: A file can't be read, or holds something else than a JSON object.
    """
    settings: dict[str, Any] = {}
    reads_environment = False
    for path in paths:
        if path == "ENV":
            reads_environment = True
        else:
            settings |= _read(option, path)[1]
    return _ConfigInput(config=settings, parse_env=reads_environment)


def _read(option: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return a file's text, and the JSON object that it holds. `-` is standard input."""
    try:
        with click.open_file(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        content = json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise VoiceCallsError(f"{option}: {path!r} could not be read: {error.strerror}.") from None
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}" if error.doc.strip() else "empty"
    except UnicodeDecodeError:
        problem = "not in UTF-8"
    except (ValueError, RecursionError):
        problem = "a number or a nesting is too large"
    else:
        if isinstance(content, dict):
            return text, content
        raise VoiceCallsError(f"{option}: {path!r} must contain a JSON object.")
    raise VoiceCallsError(f"{option}: {path!r} is not a JSON file ({problem}).")
