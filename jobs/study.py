"""Studies of a storage: `python -m jobs.study (list|show|verify|export|delete) --storage URI …`."""

from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, subcommand

from jobs._command import run_command
from jobs._study import Delete, Export, List, Show, Verify

Command = (
    Annotated[List, subcommand("list")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Delete, subcommand("delete")]
)


def main(command: OmitSubcommandPrefixes[Command]) -> None:
    """List, show, verify, export and delete the studies of a storage."""
    command.run()


if __name__ == "__main__":
    run_command(main)
