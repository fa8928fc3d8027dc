"""Bundles and their aliases: `python -m jobs.registry (list|show|promote|rollback|verify) --registry URI …`."""

from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, subcommand

from jobs._command import run_command
from jobs._registry import List, Promote, Rollback, Show, Verify

Command = (
    Annotated[List, subcommand("list")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Promote, subcommand("promote")]
    | Annotated[Rollback, subcommand("rollback")]
    | Annotated[Verify, subcommand("verify")]
)


def main(command: OmitSubcommandPrefixes[Command]) -> None:
    """List, show, promote, roll back and verify the bundles of a registry."""
    command.run()


if __name__ == "__main__":
    run_command(main)
