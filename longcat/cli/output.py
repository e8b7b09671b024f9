"""The place where a command saves pictures, checked before anything is asked or paid."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from longcat.cli.results import print_error
from longcat.errors import ConfigurationError
from longcat.saving.files import advice_on_writing, check_folder, final_path
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.layout import Layout
from longcat.saving.stores.opening import open_store
from longcat.saving.stores.retries import retry
from longcat.saving.stores.shards import ShardStore, ShardWriter
from longcat.saving.stores.store import PictureStore
from longcat.saving.stores.store_errors import StoreError
from longcat.settings import usable_count
from longcat.text import abbreviate, sentence, system_reason

T = TypeVar("T")


def check_free(store: PictureStore, name: str, pictures: int, next_step: str) -> None:
    """Raise ConfigurationError when a picture, or one of several, would replace a file.

    Args:
        store: where the pictures go.
        name: what they are called in a folder.
        pictures: how many there are.
        next_step: what to do about it.
    """
    with _usable(store):
        found = store.existing(name, pictures)
    if found:
        raise ConfigurationError(f"{found[0]} is there already. {next_step}")


def prepare(store: PictureStore, patience: float) -> None:
    """Make sure that pictures can be saved in a store, before anything is paid.

    Raises ConfigurationError; StoreError when it can't be reached for so many seconds.
    """

    def step() -> None:
        with _usable(store):
            store.prepare()

    wait_for_store(step, patience)


def patience_of(arguments: argparse.Namespace) -> float:
    """Return for how many seconds a batch waits, before its first order, for a journal or a store that is not ready."""
    for_one: float = arguments.timeout
    return for_one if arguments.batch_timeout is None else min(for_one, arguments.batch_timeout)


def wait_for_store(step: Callable[[], T], patience: float) -> T:
    """Do something with a store, again for so many seconds while it can't be reached, which is said once.

    Returns its result, or raises StoreError.
    """

    def tell(error: StoreError) -> None:
        print_error(f"longcat: The batch waits until its store can be used. {error.message}")

    return retry(step, patience, tell)


@contextmanager
def _usable(store: PictureStore) -> Iterator[None]:
    """Raise ConfigurationError for what is wrong with a store, or with what leads to it; StoreError if it may pass."""
    try:
        yield
    except StoreError as error:
        if error.transient:
            raise  # It says all.
        raise ConfigurationError(f"Nothing can be saved at {abbreviate(store)}: {error}") from error
    except (OSError, ValueError) as error:
        is_file = isinstance(error, FileExistsError)
        reason = "It is a file, and must be a folder." if is_file else sentence(system_reason(error))
        advice = advice_on_writing(error, "Pass another --output.")
        raise ConfigurationError(f"Nothing can be saved at {abbreviate(store)}: {reason} {advice}") from error


def _store(output: str, *, layout: Layout = "flat", folder: bool) -> PictureStore:
    """Return the store at a place, as `open_store` does. Stdout is refused, and what ends with this process."""
    if output == "-":
        raise ConfigurationError(
            "No picture goes to stdout. Name a file, a folder or a URL; ./- is a file of that name."
        )
    if output.lower().startswith("memory:/"):
        raise ConfigurationError("What is saved at memory:// is gone when this command ends. Name another --output.")
    return open_store(output, layout=layout, folder=folder)


def batch_store(arguments: argparse.Namespace) -> PictureStore:
    """Return where the pictures of `longcat batch` go. Nothing is made there yet. Raises ConfigurationError."""
    shard_size = usable_count(arguments.shard_size, "--shard-size")
    store = _store(arguments.output, layout=arguments.layout, folder=True)
    if arguments.format == "files":
        return store
    if arguments.layout != "flat":
        raise ConfigurationError("The layout hash is for files: shards are few. Leave it out.")
    return ShardStore(ShardWriter(store, shard_size))


def usable_output(output: str | None, names: Sequence[str], *, folder: bool, force: bool) -> PictureStore | None:
    """Return where pictures go. Raises ConfigurationError now for what would fail after the wait.

    Args:
        output: a file, a folder or a URL, as it was given. None: nothing is saved.
        names: what the pictures would be called in a folder, as far as that is known; in a file, one of any name.
        folder: whether it must be a folder, which is then made. False: it is one if it exists or ends in a slash.
        force: whether files that are there already may be replaced.
    """
    if output is None:
        return None
    store = _store(output, folder=folder)
    with _usable(store):
        if folder or output.endswith(("/", os.sep)) or not isinstance(store, FolderStore) or store.is_folder:
            store.prepare()
        elif (parent := final_path(store.path).parent).is_dir():
            check_folder(parent)
        old = [file for name in names for file in store.existing(name)]
    if isinstance(store, FolderStore) and not store.is_folder and not store.path.parent.is_dir():
        path = store.path
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into. Make it first.")
    if old and not force:
        raise ConfigurationError(f"{old[0]} is there already. Pass --force to replace it, or another --output.")
    return store
