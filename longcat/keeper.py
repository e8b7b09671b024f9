"""A download that is remembered: of the programs that share a journal, one brings the picture, and brings it once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from longcat.conversation import Conversation, Pause
from longcat.download import Target
from longcat.errors import DownloadError
from longcat.journal import Journal
from longcat.models import Image
from longcat.polling import look


@frozen
class Keeper:
    """One download, as far as the journal is concerned.

    Attributes:
        path: the file, or the folder, in which the picture is wanted.
    """

    journal: Journal
    image: Image
    path: Path

    def kept(self, end: float, monotonic: Callable[[], float]) -> Conversation[Path | None]:
        """Return where the picture is already. None: it is missing, and ours to bring.

        While another program brings it, this waits until the moment `end`, and raises DownloadError then.
        """
        began = monotonic()
        while True:
            is_ours = self.journal.take(self.image.request_id)
            kept = self.journal.is_saved(self.image.request_id)
            if kept is not None and self.path.absolute() in {kept, kept.parent}:
                if is_ours:
                    # Who was killed had put the file in its place, but perhaps not yet taken its first name away.
                    (kept.parent / self._part).unlink(missing_ok=True)
                    self.journal.release(self.image.request_id)
                return self.path / kept.name if self.path.absolute() == kept.parent else self.path
            if is_ours:
                return None
            now = monotonic()
            if now >= end:
                message = "another program has been bringing it all the time"
                raise DownloadError(self.image.url, message, "Try again with a longer timeout.", retryable=True)
            yield Pause(min(look(now - began), end - now))

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
