"""The messages in `docs/operating.md` are those of the code, and it explains each of them.

The page quotes messages in the first column of its tables, in code font, with `…` for what varies.
They are compared with the string literals of the package, in which each placeholder stands for
anything that varies: `…`, a number, a vendor, a setting, an HTTP status or request.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from demo.meltano import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = (PROJECT / "docs" / "operating.md").read_text("utf-8")
MODULES = {
    str(path.relative_to(PROJECT)): ast.parse(path.read_text("utf-8"))
    for path in sorted((PROJECT / "tap_voicecalls").rglob("*.py"))
}

#: Lines of the SDK and of logging, which the page explains too.
NOT_OURS = {"Starting incremental sync of … with bookmark value", "ERROR"}
#: Messages that the page need not explain.
UNEXPLAINED = {
    # They follow another failure, and are never shown.
    "{}: the run is being stopped.",
    "Talkdesk: the run is being stopped.",
    # Threads that still write after the end of the run get it.
    "The run has ended.",
}
#: The errors whose texts are parts of other messages.
PARTS = {
    "IncompleteReportError",
    "InvalidResponseError",
    "InvalidRowError",
    "TimeoutError",
    "ValueError",
    "_ExpiredUrlError",
}
#: The functions that report a message to people.
REPORTERS = {"ConnectionProblem", "report_failure", "warning", "_warn", "_warn_once"}

#: Stands for a placeholder.
HOLE = "\0"
_VALUE = (
    r"(?:…|Zendesk|Talkdesk|is|are|GET|POST|\d[\d,]*(?: [A-Z][a-z]+)*|/[\w/…]*|[\w…-]*[_…][\w…-]*)"
)
is_value = re.compile(rf"{_VALUE}(?: {_VALUE})*").fullmatch


def quoted_messages() -> list[str]:
    """Return the messages that the page quotes."""
    tables = re.findall(r"^\| (?:message|line)\b.*\n\|-.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    first_cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return [quoted for cell in first_cells for _, quoted in re.findall(r"(`+)(.+?) ?\1(?!`)", cell)]


def templates(node: ast.AST) -> Iterator[str]:
    """Yield the string literals in a piece of code, without docstrings."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub("%[adrs]", HOLE, node.value).replace("%%", "%")
    elif isinstance(node, ast.JoinedStr):
        parts = [it.value if isinstance(it, ast.Constant) else HOLE for it in node.values]
        yield "".join(map(str, parts))
    for child in ast.iter_child_nodes(node):
        yield from templates(child)


def reported_messages(module: ast.Module) -> Iterator[str]:
    """Yield the messages of the errors that a module raises, and of its warnings."""
    for function in (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)):
        nodes = [*ast.walk(function)]
        reported = [part for node in nodes for part in _reported(node, function)]
        names = {part.id for part in reported if isinstance(part, ast.Name)}
        reported += [
            node.value
            for node in nodes
            if isinstance(node, ast.Assign) and names & {ast.unparse(it) for it in node.targets}
        ]
        for part in reported:
            # A template with fewer words of its own is a frame for other messages.
            yield from (text for text in _outermost(part) if len(re.findall(r"[\w']+", text)) > 1)


def _reported(node: ast.AST, function: ast.FunctionDef) -> Sequence[ast.expr]:
    """Return the parts of a piece of code that may hold a message."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        if (name.endswith("Error") and name not in PARTS) or name in REPORTERS:
            # The first string; those after it fill in its placeholders.
            return [it for it in node.args if _outermost(it)][:1] or node.args[:1]
        return node.args if called == "messages.append" else ()
    if isinstance(node, ast.Return | ast.Yield) and function.name.endswith(("_errors", "_message")):
        return [node.value] if node.value is not None else []
    return ()


def _outermost(node: ast.expr) -> Sequence[str]:
    """Return the messages of an expression: one, or those of its branches."""
    if isinstance(node, ast.IfExp):
        return (*_outermost(node.body), *_outermost(node.orelse))
    if isinstance(node, ast.Constant | ast.JoinedStr):
        return [next(templates(node), "")]
    return ()


def produces(template: str, quoted: str) -> bool:
    """Whether a message of this template can contain what is quoted."""
    return any(_begins(template[start:], quoted) for start in range(len(template)))


def _begins(template: str, quoted: str) -> bool:
    """Whether a message of this template can begin with what is quoted."""
    if not quoted or not template:
        return not quoted
    if template[0] == HOLE:
        ends = range(1, len(quoted) + 1)
        return any(is_value(quoted[:end]) and _begins(template[1:], quoted[end:]) for end in ends)
    return template[0] == quoted[0] and _begins(template[1:], quoted[1:])


def shown(template: str) -> str:
    return template.replace(HOLE, "{}")


@pytest.mark.parametrize("quoted", sorted({*quoted_messages()} - NOT_OURS))
def test_quoted_message_is_in_the_code(quoted: str) -> None:
    assert not is_value(quoted), "nothing of it can be compared with the code"
    assert any(produces(it, quoted) for module in MODULES.values() for it in templates(module))


@pytest.mark.parametrize("module", MODULES)
def test_every_error_and_warning_is_explained(module: str) -> None:
    quoted = quoted_messages()
    assert [
        shown(template)
        for template in reported_messages(MODULES[module])
        if shown(template) not in UNEXPLAINED
        and not any(produces(template, it) for it in quoted if not is_value(it))
    ] == []


def test_messages_are_compared_as_documented() -> None:
    """The comparison itself: what varies is free, every other word has to be the code's."""
    template = f"{HOLE} returned {HOLE}. Run the tap again."
    for quoted in ("Zendesk returned 403 Forbidden", "… returned …. Run", "Run the tap again"):
        assert produces(template, quoted)
    for quoted in ("Zendesk refused", "Zendesk returned a mess", "Run it"):
        assert not produces(template, quoted)


def test_all_kinds_of_messages_are_found() -> None:
    """An error, one built before it is raised, a warning, and one of several in a list."""
    found = [
        shown(template) for module in MODULES.values() for template in reported_messages(module)
    ]
    for beginning in (
        "end_date must be later",
        "The target closed the pipe",
        "The state has no bookmarks",
        "No vendor is configured",
    ):
        assert any(template.startswith(beginning) for template in found), beginning
    assert set(found) >= UNEXPLAINED
