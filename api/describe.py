"""The part of docs/api.md that is made from the code: routes, their problems, and the types of problems.

Must not know what the page says before it. `python -m api.describe` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from api.app import described_app
from api.problems import OUTCOME_KINDS, OWN_KINDS, ProblemKind

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "api.md"
FIRST_HEADING: Final = "## Routes"
"""From here to its end the page is made from the code."""


def write_page(page: Path = PAGE) -> None:
    """Replace the generated part of the page, and keep what is written by hand."""
    written, _, _ = page.read_text(encoding="utf-8").partition(FIRST_HEADING)
    page.write_text(written + routes_page(described_app().openapi()), encoding="utf-8")


def routes_page(document: dict[str, Any]) -> str:
    """Markdown of every route and every type of problem, from the OpenAPI document."""
    parts = [FIRST_HEADING, _routes(document), "## Problems", _problems()]
    return "\n\n".join(parts) + "\n"


def _routes(document: dict[str, Any]) -> str:
    rows = [
        _route(f"{method.upper()} {path}", operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in methods.items()
    ]
    return _table(("route", "operation", "does", "query", "answers", "problems"), rows)


def _route(where: str, operation: dict[str, Any]) -> tuple[str, ...]:
    parameters = operation.get("parameters", [])
    query = " ".join(f"`{item['name']}`" for item in parameters if item["in"] == "query")
    codes = sorted(operation["responses"])
    media = sorted({name for code in codes if code < "300" for name in _media(operation, code)})
    return (
        f"`{where}`",
        f"`{operation['operationId']}`",
        operation["description"],
        query,
        ", ".join([*(code for code in codes if code < "400"), *(f"`{name}`" for name in media)]),
        " ".join(code for code in codes if code >= "400"),
    )


def _media(operation: dict[str, Any], code: str) -> Iterable[str]:
    content: dict[str, Any] = operation["responses"][code].get("content", {})
    return content


def _problems() -> str:
    kinds: list[ProblemKind] = [*OWN_KINDS, *OUTCOME_KINDS.values()]
    rows = [(f"`{kind.urn}`", str(kind.status), kind.title, kind.remedy) for kind in kinds]
    return _table(("type", "status", "what it means", "what to do"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    write_page()
