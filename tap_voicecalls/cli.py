"""The command line: the SDK's, with one message per failure instead of tracebacks."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any, NoReturn

from singer_sdk.plugin_base import SingerCommand

from tap_voicecalls.errors import ConfigError, SyncFailedError, VoiceCallsError
from tap_voicecalls.http.error_messages import printable
from tap_voicecalls.json_files import JsonFile
from tap_voicecalls.sync.writer import OutputClosedError

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class VoiceCallsCommand(SingerCommand):
    """The tap's command. Whatever ends it early is reported on stderr."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the command, which names the file that is not JSON."""
        super().__init__(*args, **kwargs)
        for option in self.params:
            if option.name in {"state", "catalog"}:
                option.type = JsonFile()

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's type
        """Run the command and exit, with code 1 after a failure."""
        messages: tuple[str, ...] = ()
        code = 1
        try:
            return super().main(*args, **kwargs)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except (ConfigError, SyncFailedError) as error:
            messages = error.messages
        except VoiceCallsError as error:
            messages = (str(error),)
        except OutputClosedError as error:
            messages = (f"{error} The next run resumes from the last state that was saved.",)
        except Exception as error:
            self.logger.debug("Traceback of the failure:", exc_info=True)
            details = printable(str(error).partition("\n")[0])[:200].rstrip(".") or "no details"
            hint = "Check the settings, the catalog and the state file. To report it, run with"
            messages = (
                f"{type(error).__name__}: {details}. {hint} TAP_VOICECALLS_LOGLEVEL=DEBUG.",
            )
        silence_other_threads()
        for message in messages:
            self.logger.error(message)
        return exit_now(code)


def silence_other_threads() -> None:
    """Drop what other threads log from now on, so that the last lines say why the run ended."""
    this_thread = threading.get_ident()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.thread == this_thread)


def exit_now(code: int) -> NoReturn:
    """End the program without waiting for threads, which may be inside of a long request."""
    logging.shutdown()
    if code:
        os._exit(code)
    sys.exit(code)


def check_log_level() -> None:
    """Replace a log level that doesn't exist, which the SDK would end with a traceback for."""
    for name in ("TAP_VOICECALLS_LOGLEVEL", "LOGLEVEL"):
        level = os.environ.get(name)
        if level and level.upper() not in _LOG_LEVELS:
            os.environ[name] = "INFO"
            logging.getLogger("tap-voicecalls").warning(
                "%s: %r is not a log level, INFO is used. The levels are %s.",
                name,
                level[:40],
                ", ".join(_LOG_LEVELS),
            )
