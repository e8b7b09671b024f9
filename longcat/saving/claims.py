"""A download that is remembered: of the programs that share a journal, one brings the picture, and brings it once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from attrs import field, frozen

from longcat.errors import DownloadError
from longcat.models import Image
from longcat.saving.download import Target, existing
from longcat.saving.journal import Journal
from longcat.waiting.commands import (
    Flow,
    Sleep,
    recheck_interval,
)


@frozen
class Keeper:
    """One download, as far as the journal is concerned. It knows one place of each picture, the last.

    Attributes:
        path: the file, or the folder, in which the picture is wanted.
        bringing_now: who of this client is bringing the picture of which request. The journal tells programs apart,
            not the threads of one.
    """

    journal: Journal
    image: Image
    path: Path
    downloading: dict[str, "Keeper"] = field(eq=False, repr=False)

    def kept(self, end: float, monotonic: Callable[[], float]) -> Flow[Path | None]:
        """Return where the picture is already. None: it is missing, and ours to bring.

        While another program brings it, this waits until the moment `end`, and raises DownloadError then.
        """
        began = monotonic()
        try:
            while True:
                is_ours = self._is_first() and self.journal.take(self.image.request_id)
                if (kept := self._found()) is not None:
                    if is_ours:
                        # Who was killed had put the file in its place, but perhaps not yet taken its first name away.
                        (kept.parent / self._part).unlink(missing_ok=True)
                        self.journal.release(self.image.request_id)
                    self._step_back()
                    return kept
                if is_ours:
                    return None
                now = monotonic()
                if now >= end:
                    raise self._too_late()  # noqa: TRY301 - whatever ends the waiting, it makes room for others.
                yield Sleep(min(recheck_interval(now - began), end - now))
        except BaseException:
            self._step_back()
            raise

    @contextmanager
    def bringing(self) -> Iterator[None]:
        """Leave the request to others in the end. If the picture's URL turned out to be dead, it is open again."""
        try:
            yield
        except DownloadError as error:
            if error.status_code is not None and not error.transient:
                self.journal.reopen(self.image.request_id)
            raise
        finally:
            self.journal.release(self.image.request_id)
            self._step_back()

    def _found(self) -> Path | None:
        """Return the file that the journal knows, if it is whole and where the picture is wanted."""
        saved, wanted = self.journal.is_saved(self.image.request_id), existing(self.path, self.image.request_id)
        is_wanted = saved is not None and wanted is not None and saved.resolve() == wanted.resolve()
        return wanted if is_wanted else None

    def _too_late(self) -> DownloadError:
        message = "somebody else has been bringing it all the time"
        return DownloadError(self.image.url, message, "Try again with a longer timeout.", retryable=True)

    def _is_first(self) -> bool:
        return self.downloading.setdefault(self.image.request_id, self) is self  # Threads agree on one of them.

    def _step_back(self) -> None:
        if self.downloading.get(self.image.request_id) is self:
            del self.downloading[self.image.request_id]

    def prepare(self, target: Target) -> Target:
        """Return the target, which will record the file, and bring it under a name of its own.

        The name is always the same, so that a program that is killed leaves no litter.
        """
        target.part, target.record = self._part, self._record
        return target

    def _record(self, path: Path, digest: str, size: int) -> None:
        self.journal.saving(self.image.request_id, path, digest, size)

    @property
    def _part(self) -> str:
        name = f"{self.journal.path} {self.image.request_id}".encode(errors="surrogatepass")
        return f".longcat-{sha256(name).hexdigest()[:16]}.part"
