"""A picture from its URL into a file: only over http(s), without the key, and once for all that share a journal."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from attrs import define, field, frozen

from longcat.errors import APIConnectionError, ConfigurationError, DownloadError, is_transient
from longcat.gateway.messages import Answer, Call
from longcat.models import Image
from longcat.saving.journal import Journal
from longcat.saving.picture_file import PictureFile, existing, url_stem
from longcat.settings import is_http_url, usable_timeout
from longcat.text import show
from longcat.waiting.commands import Flow, Sleep, ask, backoff, recheck_interval, run_in_thread
from longcat.waiting.polling import Random

MAX_BYTES: Final = 100 * 1024 * 1024
ATTEMPTS: Final = 4
"""How often a download is tried when the fault may pass."""
MAX_REDIRECTS: Final = 5


@define(eq=False)
class DownloadClaim:
    """The right to download a request's picture. Of all clients that share a journal, one download has it at a time.

    Attributes:
        holders: this client's claims, by request id. The journal tells programs apart, but not the threads and tasks of
            one program.
        held: whether this claim has the right.
    """

    journal: Journal
    request_id: str
    holders: dict[str, "DownloadClaim"]
    held: bool = False

    def acquire(self) -> None:
        """Claim the right if it is free. Call it again until `held` is true."""
        if self.holders.setdefault(self.request_id, self) is self:  # Threads agree on one of them.
            self.held = self.journal.claim(self.request_id)

    def release(self) -> None:
        """Give the right back, so that another one can claim it."""
        try:
            if self.held:
                self.held = False
                self.journal.release(self.request_id)
        finally:
            if self.holders.get(self.request_id) is self:
                del self.holders[self.request_id]


@frozen
class Downloader:
    """Downloads pictures for one client.

    Attributes:
        journal: knows which pictures are saved already. None: every picture is downloaded.
        monotonic: the client's clock, in seconds.
        random: draws evenly from 0 to 1, for the pauses between two tries.
    """

    journal: Journal | None
    monotonic: Callable[[], float]
    random: Random
    _claims: dict[str, DownloadClaim] = field(factory=dict, init=False, repr=False)

    def download(
        self, image: Image | str, path: Path, overwrite: bool, max_bytes: int, timeout: float | None
    ) -> Flow[Path]:
        """Download a picture, and return where it is. See `LongCat.download`."""
        if not isinstance(image, Image | str):
            raise ConfigurationError(f"Pass an Image or a URL to download, not {type(image).__name__}.")
        seconds = usable_timeout(timeout)
        deadline = inf if seconds is None else self.monotonic() + seconds
        if isinstance(image, str):
            return (yield from self._save(PictureFile(path, url_stem(image), overwrite, max_bytes, image), deadline))
        file = PictureFile(path, image.request_id, overwrite, max_bytes, image.url)
        if self.journal is None:
            return (yield from self._save(file, deadline))
        return (yield from self._save_once(file, DownloadClaim(self.journal, image.request_id, self._claims), deadline))

    def _save(self, file: PictureFile, deadline: float) -> Flow[Path]:
        """Fetch the bytes and put the file in its place."""
        with file:
            yield from self._fetch(file, deadline)
            return (yield from run_in_thread(file.commit))

    def _save_once(self, file: PictureFile, claim: DownloadClaim, deadline: float) -> Flow[Path]:
        """Return the path of the saved picture; if there is none, claim it and save it."""
        # The name is always the same, so that a program that is killed leaves no litter.
        unique = f"{claim.journal.path} {claim.request_id}".encode(errors="surrogatepass")
        file.part = f".longcat-{sha256(unique).hexdigest()[:16]}.part"
        file.record = partial(claim.journal.record, claim.request_id)
        try:
            saved = yield from self._acquire(claim, file, deadline)
            return saved if saved is not None else (yield from self._save(file, deadline))
        except DownloadError as error:
            if error.status_code is not None and not error.transient:
                claim.journal.reopen(claim.request_id)  # The URL is dead: the next wait asks for another one.
            raise
        finally:
            claim.release()

    def _acquire(self, claim: DownloadClaim, file: PictureFile, deadline: float) -> Flow[Path | None]:
        """Return where the picture is, or None when the claim is held; wait while another one is downloading it."""
        began = self.monotonic()
        while True:
            saved = yield from run_in_thread(partial(_find, claim, file))
            if saved is not None or claim.held:
                return saved
            now = self.monotonic()
            if now >= deadline:
                message = "another download of it was under way all the time"
                raise DownloadError(file.url, message, "Try again with a longer timeout.", retryable=True)
            yield Sleep(min(recheck_interval(now - began), deadline - now))

    def _fetch(self, file: PictureFile, deadline: float) -> Flow[None]:
        """Download the bytes into the file, and raise DownloadError when they can't be had.

        A fault that may pass (no answer, a cut body, 408, 429, 5xx) is tried again, three times at most, with a pause.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                yield from self._fetch_once(file, deadline)
            except DownloadError as error:
                left = deadline - self.monotonic()
                if not error.transient or attempt == ATTEMPTS or left <= 0:
                    raise
                yield Sleep(min(backoff(attempt, self.random), left))
            else:
                return

    def _fetch_once(self, file: PictureFile, deadline: float) -> Flow[None]:
        url, location = file.url, ""
        for _ in range(1 + MAX_REDIRECTS):
            url = _follow(url, location, file)
            left = deadline - self.monotonic()
            if left <= 0:
                raise DownloadError(file.url, "there was no time left", "Try again with a longer timeout.")
            try:
                answer = yield from ask(Call("GET", url, left, {"Accept": "image/*"}, sink=file, cross_origin=True))
            except APIConnectionError as error:
                next_step = "Try again, or with a longer timeout."
                raise DownloadError(file.url, error.message, next_step, retryable=True) from error
            if answer.status_code == HTTPStatus.OK:
                file.finish()
                return
            is_redirect = HTTPStatus.MULTIPLE_CHOICES <= answer.status_code < HTTPStatus.BAD_REQUEST
            location = answer.headers.get("location", "")
            if not is_redirect or not location:
                raise _refused(answer, file)
        raise DownloadError(file.url, f"it redirects more than {MAX_REDIRECTS} times", "Look at the URL in a browser.")


def _find(claim: DownloadClaim, file: PictureFile) -> Path | None:
    """Acquire the claim if it is free. Return the saved file if it is whole and in its place; this reads the file."""
    claim.acquire()
    saved = claim.journal.find_saved(claim.request_id)
    with suppress(OSError, ValueError):  # No such file can be. The error is raised when it is to be written.
        wanted = existing(file.path, file.stem)
        if saved is not None and wanted is not None and saved.resolve() == wanted.resolve():
            if claim.held and file.part is not None:
                with suppress(OSError):  # A program that was killed may have left it beside the saved file.
                    (wanted.parent / file.part).unlink()
            return wanted
    return None


def _follow(url: str, location: str, file: PictureFile) -> str:
    """Return where a redirect leads, or raise DownloadError when we don't go there."""
    with suppress(ValueError):  # From a location that is no URL.
        url = urljoin(url, location)
        location = ""
    if location or not is_http_url(url):
        message = f"{show(location or url)} is not http:// or https:// and a host"
        raise DownloadError(file.url, message, "Check where it came from.")
    return url


def _refused(answer: Answer, file: PictureFile) -> DownloadError:
    code = answer.status_code
    transient = is_transient(code)
    next_step = "Try again later." if transient else "The URL may have expired: ask for the status again."
    return DownloadError(file.url, f"the storage answered {code}", next_step, status_code=code, retryable=transient)
