"""The wording check of `make lint`: codespell, with the word lists in `.codespell/`."""

from __future__ import annotations

import subprocess
import sys

from demo.meltano import PROJECT

REPLACEMENTS = (PROJECT / ".codespell" / "replacements.txt").read_text("utf-8").splitlines()
AVOID = [line.partition("->")[0] for line in REPLACEMENTS]


def reported(text: str) -> list[str]:
    """Return the words that codespell reports in a text, in lowercase."""
    command = [sys.executable, "-m", "codespell_lib", "-"]
    done = subprocess.run(  # noqa: S603
        command, cwd=PROJECT, input=text, capture_output=True, encoding="utf-8", check=False
    )
    found = [
        line.partition(" ==> ")[0].strip().lower()
        for line in done.stdout.splitlines()
        if " ==> " in line
    ]
    assert done.returncode == (65 if found else 0), done.stderr
    return found


def test_every_listed_word_and_phrase_is_reported() -> None:
    text = "\n".join(f"It is {word.capitalize()}, then {word}." for word in AVOID)
    assert reported(text) == [word for word in AVOID for _ in range(2)]


def test_words_within_names_are_reported() -> None:
    assert reported("def test_token_is_made_anew() -> None: ...") == ["anew"]


def test_british_spelling_is_reported() -> None:
    assert reported("behaviour") == ["behaviour"]


def test_code_in_documents_is_not_checked() -> None:
    assert reported("The message `made anew`:\n\n```text\nmade anew\n```\n") == []


def test_terms_and_accepted_phrases_pass() -> None:
    assert reported("One call at a time, answered in a time zone of the sandbox.") == []
