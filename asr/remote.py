"""Stores of files by their addresses, such as s3://bucket/folder: fsspec and its errors."""

from typing import Any

from asr.errors import BadOption, how_to_add, in_brief


def opened(url: str, name: str | None = None, **options: Any) -> tuple[Any, str]:
    """The client of the store at an address, and what it calls the file or folder there.

    No listing is remembered, since others write there too.

    Args:
        name: of the setting that has the address, for messages; else the address itself.
        options: of the client.

    Raises:
        BadOption: a package is missing, or there is no such kind of store.
    """
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except ImportError as error:
        raise missing(name or url, error) from error
    except ValueError as error:
        raise BadOption(
            f"{name or url} has a kind of store that is not known ({in_brief(error)}): write "
            "s3://bucket/folder, for example."
        ) from error
    return store, path


def missing(name: str, error: ImportError) -> BadOption:
    """What to say of a package that a store needs."""
    return BadOption(
        f"{name} needs a package that is not installed ({error}): {how_to_add('stores')} for s3:// "
        "and https://, gcsfs for gs://, adlfs for az://."
    )
