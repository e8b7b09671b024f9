"""Where a command saves pictures: checked before anything is asked or paid."""

import os
from collections.abc import Sequence
from pathlib import Path

from longcat.errors import ConfigurationError
from longcat.saving.files import final_path
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.store import PictureStore
from longcat.text import shorten


def check_free(store: PictureStore, name: str, count: int, next_step: str) -> None:
    """Raise ConfigurationError when a picture, or one of several, would replace a file.

    Args:
        store: where the pictures go.
        name: what they are called in a folder.
        count: how many there are.
        next_step: what to do about it.
    """
    try:
        found = store.existing(name, count)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"Nothing can be saved at {shorten(store)}: {reason}. Pass another --output."
        ) from error
    if found:
        raise ConfigurationError(f"{found[0]} is there already. {next_step}")


def usable_output(output: str | None, names: Sequence[str], *, folder: bool, force: bool) -> FolderStore | None:
    """Return where pictures go. Raises ConfigurationError now for what would fail after the wait.

    Args:
        output: a file or a folder, as it was given. None: nothing is saved.
        names: what the pictures would be called in a folder, as far as that is known; in a file, one of any name.
        folder: whether it must be a folder, which is then made. False: it is one if it exists or ends in a slash.
        force: whether files that are there already may be replaced.
    """
    if output is None:
        return None
    if not output:
        raise ConfigurationError("The --output is empty; a shell variable may be unset. Name a file or a folder.")
    path = Path(output)
    store = FolderStore(path)
    try:
        if folder or output.endswith(("/", os.sep)):
            path.mkdir(parents=True, exist_ok=True)
        elif not path.is_dir():
            final_path(path)
        old = [file for name in names for file in store.existing(name)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"Nothing can be saved at {shorten(path)}: {reason}. Pass another --output."
        ) from error
    if not path.is_dir() and not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into. Make it first.")
    if old and not force:
        raise ConfigurationError(f"{old[0]} is there already. Pass --force to replace it, or another --output.")
    return store
