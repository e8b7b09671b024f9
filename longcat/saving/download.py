"""Pictures from their URLs into files: only over http(s), without the key, and once for all that share a journal."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urljoin

from attrs import define, evolve, field, frozen

from longcat.errors import APIConnectionError, ConfigurationError, DownloadError, is_transient
from longcat.gateway.messages import Answer, Call
from longcat.models import Image
from longcat.saving.file_names import safe_name
from longcat.saving.journal.request_table import RequestTable
from longcat.saving.partial_file import sweep
from longcat.saving.picture_file import PictureFile, picture_files, url_stem
from longcat.saving.stores.store import PictureStore
from longcat.settings import is_http_url, usable_timeout
from longcat.text import show, without_query
from longcat.waiting.backoff import backoff, recheck_interval
from longcat.waiting.commands import Flow, Sleep, ask, run_in_thread
from longcat.waiting.schedule.plan import Random
from longcat.waiting.store_calls import call_store

T = TypeVar("T")

ATTEMPTS: Final = 4
"""How often a download is tried when the fault may pass."""
MAX_PUTS: Final = 10
"""How often it is tried to put a picture in its place, with pauses that last about a minute altogether."""
MANY_FILES: Final = 1000
"""A folder with more files than these is crowded: a search for what killed programs left there takes some time."""
SWEPT_EVERY: Final = 60.0
"""Seconds after which a crowded folder is looked through again. Any other folder is looked through at each download."""
MAX_REDIRECTS: Final = 5
MAX_PICTURES: Final = 1000
"""How many pictures of one request are saved. Sister models make four at most."""


@define(eq=False)
class DownloadClaim:
    """The right to download a request's pictures. Of all clients that share a journal, one download has it at a time.

    Attributes:
        held: whether this claim has the right.
    """

    requests: RequestTable
    request_id: str
    held: bool = False

    def acquire(self) -> None:
        """Claim the right if it is free. Call it again until `held` is true."""
        if self.requests.holders.setdefault(self.request_id, self) is self:  # Threads agree on one of them.
            self.held = self.held or self.requests.claim(self.request_id)

    def release(self) -> None:
        """Give the right back soon, so that another one can claim it."""
        if self.held:
            self.held = False
            self.requests.later(partial(self.requests.release, self.request_id))
        if self.requests.holders.get(self.request_id) is self:
            del self.requests.holders[self.request_id]


@frozen
class Downloader:
    """Downloads pictures for one client.

    Attributes:
        requests_of: returns what knows which pictures of a request are saved already. None: nothing does.
        monotonic: the client's clock, in seconds.
        random: draws evenly from 0 to 1, for the pauses between two tries.
    """

    requests_of: Callable[[str], RequestTable | None]
    monotonic: Callable[[], float]
    random: Random
    _not_swept_before: dict[Path, float] = field(factory=dict, init=False, repr=False)
    """When to look again for temporary files of killed programs, by folder; only folders that are crowded."""

    def download(  # noqa: PLR0913, PLR0917 - the arguments of `LongCat.download_all`.
        self,
        image: Image | str,
        store: PictureStore,
        name: str | None,
        overwrite: bool,
        max_bytes: int,
        timeout: float | None,
    ) -> Flow[list[str]]:
        """Download all pictures of an image into a store, and return where they are. See `LongCat.download_all`."""
        if not isinstance(image, Image | str):
            raise ConfigurationError(f"Pass an Image or a URL to download, not {type(image).__name__}.")
        seconds = usable_timeout(timeout)
        deadline = inf if seconds is None else self.monotonic() + seconds
        if isinstance(image, str):
            stem = safe_name(name if name is not None else url_stem(image))
            file = PictureFile(store.target(stem, 1, 1), overwrite, max_bytes, image)
            yield from self._sweep(file)
            return (yield from self._save([file], deadline))
        if len(image.urls) > MAX_PICTURES:
            message = f"the request has {len(image.urls)} pictures, more than {MAX_PICTURES}"
            raise DownloadError(image.url, message, "Download those that you want by their URLs, from image.urls.")
        files = picture_files(image, store, name, overwrite, max_bytes)
        if files:
            yield from self._sweep(files[0])
        requests = yield from call_store(partial(self.requests_of, image.request_id), self._left(deadline))
        if requests is None:
            return (yield from self._save(files, deadline))
        claim = DownloadClaim(requests, image.request_id)
        return (yield from self._save_once(files, claim, deadline))

    def _sweep(self, file: PictureFile) -> Flow[None]:
        """Remove what killed programs left where a file is to be, unless we looked there a moment ago."""
        folder = file.target.folder
        if self.monotonic() >= self._not_swept_before.get(folder, -inf):
            files = yield from run_in_thread(partial(sweep, folder))
            if files > MANY_FILES:
                self._not_swept_before[folder] = self.monotonic() + SWEPT_EVERY

    def _left(self, deadline: float) -> Callable[[], float]:
        return lambda: deadline - self.monotonic()

    def _save(
        self, files: Sequence[PictureFile], deadline: float, claim: DownloadClaim | None = None
    ) -> Flow[list[str]]:
        """Put the files in their places, one after the other. None is begun when one of them can't be written."""
        places = []
        with ExitStack() as opened:
            for file in files:
                opened.enter_context(file)
            for file in files:
                try:
                    yield from self._fetch(file, deadline)
                except DownloadError as error:
                    if claim is not None and error.status_code is not None and not error.transient:
                        # The URL is dead: the next wait asks for another one.
                        reopen = partial(claim.requests.reopen, claim.request_id, file.number)
                        yield from call_store(reopen, self._left(deadline))
                    raise
                places.append((yield from self._retry(partial(self._commit, file, deadline), deadline, MAX_PUTS)))
        return places

    def _save_once(self, files: Sequence[PictureFile], claim: DownloadClaim, deadline: float) -> Flow[list[str]]:
        """Return where the saved pictures are; if one is missing, claim them all and save it."""
        for file in files:
            file.record = partial(claim.requests.record, claim.request_id, file.number)
        try:
            saved = yield from self._acquire(claim, files, deadline)
            missing = [file for file in files if file.number not in saved]
            fetched = yield from self._save(missing, deadline, claim)
            places = saved | {file.number: place for file, place in zip(missing, fetched, strict=True)}
            return [places[file.number] for file in files]
        finally:
            claim.release()

    def _acquire(self, claim: DownloadClaim, files: Sequence[PictureFile], deadline: float) -> Flow[dict[int, str]]:
        """Return where the saved pictures are, by number, when the claim is held or all are saved; else wait for it."""
        began = self.monotonic()
        while True:
            saved = yield from call_store(partial(_find, claim, files), self._left(deadline))
            if claim.held or len(saved) == len(files):
                return saved
            now = self.monotonic()
            if now >= deadline:
                message = "another download of it was under way all the time"
                raise files[0].error(message, "Try again with a longer timeout.", retryable=True)
            yield Sleep(min(recheck_interval(now - began), deadline - now))

    def _commit(self, file: PictureFile, deadline: float) -> Flow[str]:
        left = self._left(deadline)
        return (yield from call_store(lambda: file.commit(left()), left))

    def _fetch(self, file: PictureFile, deadline: float) -> Flow[None]:
        """Download the bytes into the file, and raise DownloadError when they can't be had.

        After a fault that may pass (no answer, a cut body, 408, 429, 5xx) it is tried again, three times at most, with
        pauses that are no shorter than the storage asks for.
        """
        yield from self._retry(partial(self._fetch_once, file, deadline), deadline, ATTEMPTS)

    def _retry(self, step: Callable[[], Flow[T]], deadline: float, attempts: int) -> Flow[T]:
        """Do something until it raises no DownloadError that may pass, so often at most.

        A pause that would outlast the deadline is not begun.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return (yield from step())
            except DownloadError as error:
                pause = max(backoff(attempt, self.random), error.retry_after or 0.0)
                if not error.transient or attempt == attempts or pause >= deadline - self.monotonic():
                    raise
            yield Sleep(pause)

    def _fetch_once(self, file: PictureFile, deadline: float) -> Flow[None]:
        url, location = file.url, ""
        for _ in range(1 + MAX_REDIRECTS):
            url = _follow(url, location, file)
            left = deadline - self.monotonic()
            if left <= 0:
                raise file.error("there was no time left", "Try again with a longer timeout.")
            try:
                answer = yield from ask(Call("GET", url, left, {"Accept": "image/*"}, sink=file, cross_origin=True))
            except APIConnectionError as error:
                next_step = error.advice or "Try again, or with a longer timeout."
                raise file.error(error.message, next_step, retryable=error.transient) from error
            if answer.coding is not None and answer.status_code == HTTPStatus.OK:
                message = f"it came in the content coding {show(answer.coding)}, which can't be read"
                raise file.error(message, "Only identity was asked for: look at what stands between.")
            if answer.status_code == HTTPStatus.OK:
                yield from run_in_thread(file.finish)
                return
            is_redirect = HTTPStatus.MULTIPLE_CHOICES <= answer.status_code < HTTPStatus.BAD_REQUEST
            location = answer.headers.get("location", "")
            if not is_redirect or not location:
                raise _refused(answer, file)
        raise file.error(f"it redirects more than {MAX_REDIRECTS} times", "Look at the URL in a browser.")


def _find(claim: DownloadClaim, files: Sequence[PictureFile]) -> dict[int, str]:
    """Acquire the claim if it is free. Return the saved files that are whole and in their places; this reads them."""
    claim.acquire()
    saved = {}
    for file in files:
        known = claim.requests.file(claim.request_id, file.number)
        # Where no such file can be, the error is raised when it is to be written.
        with suppress(OSError, ValueError, RuntimeError):
            if known is not None and (place := file.target.find(known)) is not None:
                saved[file.number] = place
    return saved


def _follow(url: str, location: str, file: PictureFile) -> str:
    """Return where a redirect leads, or raise DownloadError when we don't go there."""
    was_https = bool(location) and is_http_url(url, ("https",))
    with suppress(ValueError):  # From a location that is no URL.
        url = urljoin(url, location)
        location = ""
    if location or not is_http_url(url):
        message = f"{show(location or url, without_query)} is not http:// or https:// and a host"
        raise file.error(message, "Check where it came from.")
    if was_https and not is_http_url(url, ("https",)):
        raise file.error("it redirects from https:// to http://, where anyone on the way could change it", "Report it.")
    return url


def _refused(answer: Answer, file: PictureFile) -> DownloadError:
    code = answer.status_code
    transient = is_transient(code)
    next_step = "Try again later." if transient else "The URL may have expired: ask for the status again."
    pause = f" and asked to be left alone for {answer.asked_pause:.15g} s" if answer.asked_pause else ""
    error = file.error(f"the storage answered {code}{pause}", next_step, status_code=code, retryable=transient)
    return evolve(error, retry_after=answer.retry_after)
