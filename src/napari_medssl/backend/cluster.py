"""Run functions on a Dask cluster: connect, look over the workers, hand out tasks, take results.

dask.distributed is imported here and in `cluster_work` alone, and only when a cluster is asked for.
"""

from __future__ import annotations

import logging
import pkgutil
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_work import UnfitWorkerError, stop_run
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 10.0
WAIT_FOR_WORKERS_S = 60.0
_LOOK_EVERY_S = 5.0
_POLL_S = 0.2
_PACKAGE = "napari_medssl"


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A Dask scheduler, and the resources that a worker must offer to embed.

    Attributes
    ----------
    address
        Such as "tcp://host:8786".
    resources
        How much of each one shard needs, such as {"GPU": 1}.
    """

    address: str
    resources: Mapping[str, float]


def parse_resources(text: str) -> dict[str, float]:
    """Return what "GPU=1,MEMORY=4e9" says.

    Raises
    ------
    UserError
        If it says something else.
    """
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, sign, amount = part.partition("=")
        with suppress(ValueError):
            if sign and name.strip() and 0 < float(amount) < float("inf"):
                found[name.strip()] = float(amount)
                continue
        raise UserError(f"--worker-resources is {text!r}; due is NAME=AMOUNT, such as GPU=1.")
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a task: its key, and the value or the error."""

    key: str
    value: Any = None
    error: BaseException | None = None


class Cluster:
    """A connection to a scheduler for one run. Make it with `connected`.

    Attributes
    ----------
    events
        What tasks told under the run's name since it was last looked at.
    """

    def __init__(self, client: Client, place: ClusterPlace, run: str) -> None:
        self._client, self._place, self._run = client, place, run
        self._futures: dict[str, Future] = {}
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._slots, self._looked = 0, -_LOOK_EVERY_S
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.subscribe_topic(run, lambda event: self.events.put(event[1]))

    @property
    def under_way(self) -> int:
        """How many tasks have no outcome yet."""
        return len(self._futures)

    @property
    def slots(self) -> int:
        """How many shards the workers embed at a time; 0 while there is no worker for it."""
        if time.monotonic() - self._looked >= _LOOK_EVERY_S:
            self._slots = sum(map(self._slots_of, self._workers().values()))
            self._looked = time.monotonic()
        return self._slots

    def check_workers(self, should_stop: ShouldStop = never) -> None:
        """Wait for the first worker and look all of them over.

        Raises
        ------
        UserError
            If none comes, none offers the resources, or one has another version of this package.
        Cancelled
            If it was asked to stop.
        """
        end = time.monotonic() + WAIT_FOR_WORKERS_S
        while not self._workers():
            if should_stop():
                raise Cancelled("Stopped before the cluster had a worker. Nothing was done.")
            if time.monotonic() > end:
                raise UserError(
                    f"The cluster {self._place.address!r} has no worker; "
                    f"{WAIT_FOR_WORKERS_S:.0f} s were waited for one. Start some with "
                    f"`dask worker {self._place.address}`."
                )
            time.sleep(_POLL_S)
        # A name of the standard library: it reaches workers that know nothing of this package.
        versions = self._client.run(
            pkgutil.resolve_name, f"{_PACKAGE}:__version__", on_error="return"
        )
        for address, version in versions.items():
            if version == __version__:
                continue
            runs = "has no" if isinstance(version, ImportError) else f"runs {version!r} of"
            raise UnfitWorkerError(
                f"The worker {address} {runs} napari-medssl, this machine runs {__version__!r}. "
                "Install the same version on both."
            )
        if not self.slots:
            due = ", ".join(f"{name}={amount:g}" for name, amount in self._place.resources.items())
            raise UserError(
                f"None of the {len(versions)} workers of the cluster offers {due}. Start workers "
                f"with --resources {due!r}, or leave out --worker-resources."
            )

    def submit(
        self, key: str, function: Callable[[Any], Any], job: Any, *, embeds: bool = False
    ) -> None:
        """Have a function called by a worker; `embeds` for one that offers the resources.

        The key is to be new in this run; Dask runs a task of another key for another run, since
        one that an earlier run left may be about to stop.
        """
        future = self._client.submit(
            function,
            job,
            key=f"{self._run}/{key}",
            resources=dict(self._place.resources) if embeds else None,
            priority=0 if embeds else 1,  # slides looked at early keep all workers busy
        )
        self._futures[key] = future
        future.add_done_callback(self._ended.put)

    def outcomes(self, wait_s: float) -> Iterator[Outcome]:
        """Give what has ended; wait for the first up to `wait_s`.

        Raises
        ------
        UserError
            If the scheduler went away.
        """
        try:
            ended = [self._ended.get(timeout=wait_s)]
        except queue.Empty:
            self._check_connection()
            return
        with suppress(queue.Empty):
            while True:
                ended.append(self._ended.get_nowait())
        for future in ended:
            outcome = self._outcome(future)
            if outcome is not None and self._futures.pop(outcome.key, None) is not None:
                future.release()  # the worker may forget it
                yield outcome

    def forget(self, prefix: str) -> None:
        """Take back tasks whose key begins so; those that run end unseen."""
        chosen = [key for key in self._futures if key.startswith(prefix)]
        self._client.cancel([self._futures.pop(key) for key in chosen])

    def stop(self) -> None:
        """Take back every task; those that run end before their next batch."""
        if self._client.status != "running":
            return  # the scheduler is gone, and with it who could be told
        with suppress(OSError, CancelledError, TimeoutError):
            self.forget("")
            self._client.run(stop_run, self._run, on_error="ignore")

    def _outcome(self, future: Future) -> Outcome | None:
        """Return how a task ended, None if it has to be made again."""
        key = str(future.key).removeprefix(f"{self._run}/")
        if future.status == "error":  # also where the task itself ran into a time-out
            return Outcome(key, error=_told(future.exception(timeout=CONNECT_S)))
        try:
            return Outcome(key, future.result(timeout=CONNECT_S))
        except TimeoutError:
            # The worker that had the result is gone: the scheduler has it made anew.
            future.add_done_callback(self._ended.put)
            return None
        except CancelledError:
            self._check_connection()
            return Outcome(key, error=UserError("The cluster took back its task."))

    def _check_connection(self) -> None:
        if self._client.status != "running":
            raise UserError(
                f"The scheduler {self._place.address!r} went away. Start it again and give the "
                "same command: it goes on where it was."
            )

    def _workers(self) -> Mapping[str, Mapping[str, Any]]:
        workers: Mapping[str, Mapping[str, Any]] = self._client.scheduler_info(n_workers=-1)[
            "workers"
        ]
        return workers

    def _slots_of(self, worker: Mapping[str, Any]) -> int:
        """Return how many shards a worker embeds at a time."""
        offered = worker.get("resources", {})
        shares = [offered.get(name, 0) // due for name, due in self._place.resources.items()]
        return int(min([worker["nthreads"], *shares]))


@contextmanager
def connected(place: ClusterPlace, run: str) -> Iterator[Cluster]:
    """Connect to a scheduler; at the end the connection is closed, the cluster goes on.

    Raises
    ------
    UserError
        If dask.distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError(
            'A cluster needs dask.distributed: pip install "napari-medssl[cluster]".'
        ) from error
    try:
        client = Client(place.address, timeout=CONNECT_S, set_as_default=False)
    except TypeError as error:  # what Dask raises for an address of TLS without certificates
        if not place.address.startswith("tls://"):
            raise
        raise UserError(
            f"The scheduler {place.address!r} wants certificates, and none are set. Name them in "
            "Dask's TLS settings (DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__CLIENT__CERT, "
            "...__CLIENT__KEY)."
        ) from error
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {place.address!r}. Start one with `dask scheduler` and "
            "give its address, such as tcp://host:8786."
        ) from error
    # Of a scheduler that goes away it logs tracebacks; one line is told instead.
    talk = logging.getLogger("distributed.client")
    level = talk.level
    talk.setLevel(logging.CRITICAL)
    try:
        yield Cluster(client, place, run)
    finally:
        # Where it looks for a scheduler that went away, whatever that meets comes up here, and
        # would be told instead of how the run ended.
        with suppress(Exception):
            client.close()
        talk.setLevel(level)


def _told(error: BaseException) -> BaseException:
    """Return an error of a task in words, where they are known."""
    from distributed.scheduler import KilledWorker, NoValidWorkerError

    if isinstance(error, KilledWorker):
        return UserError(
            f"{error.allowed_failures + 1} workers died of one task of it. They may have too "
            "little memory: give a smaller --batch, or start workers with more."
        )
    if isinstance(error, NoValidWorkerError):
        return UnfitWorkerError("No worker is left that offers what --worker-resources asks for.")
    if isinstance(error, ImportError) and (error.name or "").startswith(_PACKAGE):
        return UnfitWorkerError(
            f"A worker has no napari-medssl {__version__} ({error}). Install the same version "
            "there."
        )
    return error
