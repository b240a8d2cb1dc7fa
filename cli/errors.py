"""Turns what went wrong into words and an exit code, for every command in one place.

A mistake that a person can make or a network can have is listed here and ends in two lines: what happened to
which thing, and what to do next. Whatever is not listed is a fault of the program and keeps its traceback.
Exceptions of the other floors are listed by name, so that an error costs no import: its module is loaded when
it is raised. It must not know any command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# HTTP statuses: nothing there; and what a node answers that can't serve now.
NOT_FOUND_STATUS = 404
UNAVAILABLE = frozenset({429, 503, 504})


@dataclass(frozen=True, slots=True)
class Explained:
    """An error for a person: what happened to which thing, what to do next, and how the command ends."""

    message: str
    remedy: str
    exit: Exit

    def document(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {"error": {"message": self.message, "remedy": self.remedy, "exit_code": int(self.exit)}}


class CommandError(Exception):
    """A command cannot do what it was asked, and says so itself."""

    def __init__(self, message: str, remedy: str, exit: Exit = Exit.ERROR) -> None:
        super().__init__(message)
        self.explained = Explained(message, remedy, exit)


def explain(error: BaseException) -> Explained | None:
    """The words for an error, or None where it is a fault of the program."""
    if isinstance(error, CommandError):
        return error.explained
    if isinstance(error, BrokenPipeError | click.exceptions.NoArgsIsHelpError):
        # Whoever read the output has had enough (`nostro outcomes | head`): click ends the run in silence.
        # And a group without a command shows its help.
        return None
    for kind in type(error).__mro__:
        explainer = EXPLAINERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if explainer is not None:
            return explainer(error)
    return None


def _usage_error(error: Any) -> Explained:
    """An argument too many or too few, or an option or command that doesn't exist."""
    context = error.ctx
    usage = " ".join(context.command.collect_usage_pieces(context))
    return Explained(
        error.format_message(),
        f"Write `{context.command_path} {usage}`; `{context.command_path} --help` lists what there is.",
        Exit.USAGE,
    )


def _bad_value(error: Any) -> Explained:
    """A value that its place doesn't take."""
    path = error.ctx.command_path
    return Explained(
        error.format_message(), f"Give another value; `{path} --help` says what it takes.", Exit.USAGE
    )


def _no_answer(_error: Any) -> Explained:
    """A question that was answered with no, or not at all."""
    return Explained(
        "A question of this command was not answered, or with no.",
        "Run it again and answer; `--help` lists the options that answer beforehand.",
        Exit.ERROR,
    )


def _file_error(error: OSError) -> Explained:
    """A file that is missing, forbidden or in the way; an OSError about no file is told as it is."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.filename is None:
        return Explained(
            f"The system refused: {reason}.", "Look at the disk and the network of this machine.", Exit.ERROR
        )
    return Explained(
        f"{error.filename}: {reason}.", "Check the path and who may read and write it.", Exit.ERROR
    )


def _wallet_error(error: Any) -> Explained:
    """A WalletError brings its own remedy."""
    return Explained(error.what, error.remedy, Exit.ERROR)


def _malformed(error: Any) -> Explained:
    """A Malformed says what is wrong with which thing, some of them what to do too, after a semicolon."""
    what, semicolon, remedy = str(error).rpartition("; ")
    if not semicolon:
        return Explained(_sentence(str(error)), "Check the value against docs/formats.md.", Exit.ERROR)
    return Explained(_sentence(what), _sentence(remedy), Exit.ERROR)


def _amount_error(error: Any) -> Explained:
    """An AmountError names the text."""
    return Explained(_sentence(str(error)), "Give a plain decimal number such as 12.50.", Exit.USAGE)


def _what_and_remedy(exit: Exit = Exit.ERROR) -> Callable[[Any], Explained]:
    """An error of one text, of which the last sentence is what to do."""

    def explained(error: Any) -> Explained:
        text = str(error).rstrip()
        what, stop, remedy = text.removesuffix(".").rpartition(". ")
        if not stop:
            return Explained(_sentence(text), "Correct it and try again.", exit)
        return Explained(_sentence(what), _sentence(remedy), exit)

    return explained


def _sentence(text: str) -> str:
    """Text as a sentence: a capital first, a full stop last."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _node_process(error: Any) -> Explained:
    """A node process that didn't start; the error has the end of its log, which stays as it is."""
    remedy = "See nodes/NODE/node.log in the network's folder; a port in use is changed with --base-port."
    return Explained(str(error), remedy, Exit.ERROR)


def _unreachable(error: Any) -> Explained:
    """No node answered."""
    return Explained(error.what, error.remedy, Exit.UNREACHABLE)


def _keystore_missing(error: Any) -> Explained:
    """A keystore is found by an option that the wallet doesn't know."""
    return Explained(
        error.what, "Name yours with --keystore FILE, or make one with `nostro key new`.", Exit.NOT_FOUND
    )


def _wallet_not_found(error: Any) -> Explained:
    """A WalletError about something that isn't there."""
    return Explained(error.what, error.remedy, Exit.NOT_FOUND)


def _refused(error: Any) -> Explained:
    """A node refused a request: with an outcome that is the ledger's refusal, with 404 nothing is there."""
    problem = error.problem
    message = f"{problem.title} {problem.detail}".strip()
    if problem.outcome is not None and problem.status not in UNAVAILABLE:
        return Explained(message, problem.remedy, Exit.REFUSED)
    if problem.status == NOT_FOUND_STATUS:
        return Explained(message, problem.remedy, Exit.NOT_FOUND)
    unavailable = problem.status in UNAVAILABLE
    return Explained(message, problem.remedy, Exit.UNREACHABLE if unavailable else Exit.ERROR)


def _own_remedy(error: Any) -> Explained:
    """A refusal that brings its own remedy."""
    return Explained(str(error), error.remedy, Exit.ERROR)


def _snapshot_invalid(error: Any) -> Explained:
    """A backup whose parts don't prove each other."""
    return Explained(
        f"The backup proves nothing: {error}.", "Use another one, or make it anew.", Exit.VIOLATION
    )


def _admin_refused(error: Any) -> Explained:
    """A node's admin port said no."""
    return Explained(
        f"The node refused: {str(error).rstrip('.')}.", "`nostro node status` shows how it is.", Exit.REFUSED
    )


def _admin_unreachable(error: Any) -> Explained:
    """A node's admin port said nothing."""
    return Explained(
        f"The admin port can't be asked: {error}.",
        "Check that the node runs, and that the operator's certificate is its member's.",
        Exit.UNREACHABLE,
    )


# Each is listed with the words for it; a test keeps every name true.
EXPLAINERS: Mapping[str, Callable[[Any], Explained]] = {
    "builtins.OSError": _file_error,
    "click.exceptions.UsageError": _usage_error,
    "click.exceptions.BadParameter": _bad_value,
    "click.exceptions.MissingParameter": _usage_error,
    "click.exceptions.Abort": _no_answer,
    "wallet.errors.WalletError": _wallet_error,
    "wallet.errors.KeystoreMissing": _keystore_missing,
    "wallet.errors.AliasUnknown": _wallet_not_found,
    "wallet.errors.NotReachable": _unreachable,
    "wallet.replies.Refused": _refused,
    "node.plan.PlanError": _what_and_remedy(Exit.USAGE),
    "node.provision.ProvisionError": _what_and_remedy(),
    "node.local.LocalNetworkError": _node_process,
    "node.config.ConfigError": _what_and_remedy(),
    "node.disk.StoreError": _what_and_remedy(),
    "node.tls.TlsError": _what_and_remedy(),
    "node.backup.BackupRefused": _own_remedy,
    "node.recovery.RecoveryRefused": _own_remedy,
    "node.records.CorruptRecord": _malformed,
    "node.operators.AdminRefused": _admin_refused,
    "node.operators.AdminUnreachable": _admin_unreachable,
    "ledger.snapshot.SnapshotInvalid": _snapshot_invalid,
    "ledger.codec.Malformed": _malformed,
    "ledger.amounts.AmountError": _amount_error,
}
