"""The files on the command line: each is a JSON object, or the error says which one is not."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import click

from tap_voicecalls.errors import VoiceCallsError


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


def read_json_object(option: str, path: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        option: The option that names the file, for the error message.
        path: The path.

    Raises:
        VoiceCallsError: The file can't be read, or holds something else.
    """
    _, content = _read(option, path)
    return content


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
