"""The report of a drill: one document for programs, and the same as Markdown for people.

It must not know how a step is done; it finds figures by the names under which steps noted them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.times import utc

if TYPE_CHECKING:
    from cli.drill.journal import Step

STOCK = "Take stock of what survived"
PAID = "Settle a payment on the recovered chain"
PAID_AGAIN = "Settle a payment that the restored node certifies too"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the drill was of. `kept` is the folder with the copies, where that was not removed."""

    network: str
    network_id: str
    survivors: tuple[str, ...]
    lost: tuple[str, ...]
    kept: str | None


def document(heading: Heading, steps: Sequence[Step]) -> dict[str, Any]:
    """The report for programs; what was not come to is None."""
    passed = bool(steps) and all(step.failure is None for step in steps)
    return {
        "passed": passed,
        "network": heading.network,
        "network_id": heading.network_id,
        "started": utc(steps[0].started_ms) if steps else None,
        "duration_ms": sum(step.duration_ms for step in steps),
        "survivors": list(heading.survivors),
        "lost": list(heading.lost),
        "recovery_time_ms": recovery_time_ms(steps),
        "recovery_point": recovery_point(steps),
        "kept_folder": heading.kept,
        "steps": [_step(step) for step in steps],
    }


def recovery_time_ms(steps: Sequence[Step]) -> int | None:
    """From the look at what survived to the first payment that is certified; None where that didn't come."""
    names = [step.name for step in steps if step.failure is None]
    if STOCK not in names or PAID not in names:
        return None
    return sum(step.duration_ms for step in steps[names.index(STOCK) : names.index(PAID) + 1])


def recovery_point(steps: Sequence[Step]) -> dict[str, Any] | None:
    """How far the certificates and how far the kept blocks go, and the blocks between; None if not known."""
    checked = next((step.checked for step in steps if step.name == STOCK and step.failure is None), None)
    if checked is None:
        return None
    certified, kept = checked["certified_height"], checked["kept_height"]
    return {"certified_height": certified, "kept_height": kept, "blocks_between": kept - certified}


def _step(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {
        "step": step.name,
        "started": utc(step.started_ms),
        "duration_ms": step.duration_ms,
        "result": "failed" if step.failure else "passed",
        "checked": dict(step.checked),
    }
    return found | (step.failure.document() if step.failure else {})


def markdown(found: dict[str, Any]) -> str:
    """The same for people, to be kept with the bank's records."""
    return "\n".join([*_head(found), "", *_figures(found), "", *_table(found), "", *_details(found)]) + "\n"


def summary(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures that a person asks for first."""
    time_ms, point = found["recovery_time_ms"], found["recovery_point"]
    pairs = [("result", "passed" if found["passed"] else "FAILED")]
    if time_ms is not None:
        pairs.append(("recovery time", f"{time_ms / 1_000:.1f} s, from the stores to a certified payment"))
    if point is not None:
        pairs.append(
            (
                "recovery point",
                f"block {point['kept_height']:,} kept, block {point['certified_height']:,} certified: "
                f"{point['blocks_between']:,} between",
            )
        )
    return pairs


def _head(found: dict[str, Any]) -> Iterator[str]:
    yield f"# Recovery drill of {found['network']}"
    yield ""
    yield f"On copies, begun {found['started']}. Network id `{found['network_id']}`."
    yield ""
    yield f"- Survivors: {', '.join(found['survivors'])}"
    yield f"- Given up as lost: {', '.join(found['lost'])}"
    if found["kept_folder"]:
        yield (
            f"- The copies were kept in `{found['kept_folder']}`: they hold signing keys and a "
            "signed decision. Remove them."
        )


def _figures(found: dict[str, Any]) -> Iterator[str]:
    for name, value in summary(found):
        yield f"- **{name.capitalize()}**: {value}"


def _table(found: dict[str, Any]) -> Iterator[str]:
    yield "| step | begun | duration | result |"
    yield "|---|---|---|---|"
    for step in found["steps"]:
        duration = f"{step['duration_ms'] / 1_000:.1f} s"
        yield f"| {step['step']} | {step['started']} | {duration} | {step['result']} |"


def _details(found: dict[str, Any]) -> Iterator[str]:
    yield "## What was checked"
    for step in found["steps"]:
        yield from ("", f"### {step['step']}", "")
        yield from (
            f"- {name.replace('_', ' ')}: `{shown(value)}`" for name, value in step["checked"].items()
        )
        if "error" in step:
            yield f"- **It failed**: {step['error']['message']}"
            yield f"- **What to do**: {step['error']['remedy']}"


def shown(value: object) -> str:
    """A checked value as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
