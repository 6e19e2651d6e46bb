"""`asr key NAME`: a new API key for the service."""

from typing import Annotated

import typer

from asr.cli.extras import needs
from asr.errors import BadOption


def key(name: Annotated[str, typer.Argument(help="Whose key it is, for logs.")]) -> None:
    """Create an API key for the service, and the line with which the service checks it.

    The key goes to stderr, once; the line, for EARSHOT_API_KEYS or the file of keys, to stdout:
    `asr key ann >> keys.txt` keeps the line and shows the key.
    """
    with needs("serve"):
        from service.access.keys import new_key, read_keys

    made, line = new_key(name)
    try:
        read_keys(line, None)
    except BadOption as error:
        raise BadOption(
            f"the name {name!r} does not fit: give up to 64 letters, digits, dots, dashes and "
            "underscores."
        ) from error
    typer.echo(f"{made}   (this key is not stored: keep it now)", err=True)
    typer.echo(line)
