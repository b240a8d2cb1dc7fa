"""`nostro version` and `nostro completion`; they must not know anything of the ledger."""

from __future__ import annotations

import click

from cli import output

SHELLS = ("bash", "zsh", "fish")


@click.command()
@output.json_option
def version() -> None:
    """Print the version."""
    import platform

    from node.version import installed_version

    out = output.current()
    document = {"version": installed_version(), "python": platform.python_version()}
    out.result(document, lambda: out.data(f"nostro {document['version']} (Python {document['python']})"))


@click.command(epilog="For bash: nostro completion bash > ~/.local/share/bash-completion/completions/nostro")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise RuntimeError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root().command
    output.current().data(kind(root, {}, "nostro", "_NOSTRO_COMPLETE").source())
