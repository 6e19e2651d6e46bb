"""The machines of a Ray cluster that a job runs on, or this machine as a cluster of its own."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from asr.counting import counted
from asr.errors import BadOption, in_brief
from asr.machine import usable_cores

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # what Ray would print on stdout
# Else `uv run asr` would send this folder to the workers.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
import ray  # which reads these when it is loaded

if TYPE_CHECKING:
    from asr.runtime import Recognizer

Load: TypeAlias = "Callable[[int], Recognizer]"
"""Loads the recogniser of a worker with so many cores; it is sent there."""
_log = logging.getLogger(__name__)
_GROUP = "ray.io/node-group"
"""The label of nodes that `ray up` or KubeRay has started, which may start more."""
_PATIENCE_S = 10.0
_STORE_BYTES = 100 * 2**20
"""Memory of a cluster of this machine for what is sent; results are small."""


@dataclass(frozen=True)
class Cluster:
    """Where a job runs: the cluster at an address, or one of this machine that ends with the job.

    Args:
        address: else that of `RAY_ADDRESS`, else this machine is the cluster.
        device: as of `Recognizer.load`; a worker has a GPU if it is "cuda", or "auto" and there are
            any.
        workers: as many as the cluster has cores, or GPUs, for, unless told.
        cores: of each worker; all of a machine unless told, or its share for each GPU.
    """

    load: Load
    device: str = "auto"
    address: str | None = None
    workers: int | None = None
    cores: int | None = None

    @contextmanager
    def joined(self) -> Iterator[None]:
        """A block in which Ray is connected to the cluster.

        Raises:
            BadOption: there is no cluster at the address, or it is another version's.
        """
        address = self.address or os.environ.get("RAY_ADDRESS")
        own = {
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_node_ip_address": "127.0.0.1",  # nobody else joins it
            "_system_config": {"worker_niceness": 0},  # as the local engine
        }
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            _try_out(address)
            with _handlers_kept():
                ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **({} if address else own),
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise BadOption(
                f"the Ray cluster at {address or 'this machine'} cannot be used "
                f"({in_brief(error)}): check its address, and that it has the same versions of "
                "Ray and Python."
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def division(self, nodes: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
        """The number of workers, and cores and GPUs of each, for the nodes that Ray lists.

        Where workers wait for a node that is large enough, which a cluster that grows by itself may
        bring, a warning says so.

        Raises:
            BadOption: no node has room for a worker.
        """
        alive = [node for node in nodes if node["Alive"]]
        resources = [node["Resources"] for node in alive]
        rooms = [(int(room.get("CPU", 0)), int(room.get("GPU", 0))) for room in resources]
        per_gpu = self.device == "cuda" or (
            self.device == "auto" and any(gpus for _, gpus in rooms)
        )
        places = [(cores, gpus if per_gpu else 1) for cores, gpus in rooms]
        shares = [cores // count for cores, count in places if count and cores >= count]
        cores = self.cores or min(shares, default=0)
        found = sum(
            min(have // cores, count if per_gpu else have) for have, count in places if cores
        )
        if not found:
            grows = any(_GROUP in node.get("Labels", {}) for node in alive)
            self._wait(cores, per_gpu, grows)
        return self.workers or found, cores, int(per_gpu)

    def _wait(self, cores: int, per_gpu: bool, grows: bool) -> None:
        """Says that no node has room for a worker; BadOption if none will come."""
        needed = f"{counted(cores or 1, 'core')}{' and a GPU' * per_gpu}"
        lacking = f"no machine of the Ray cluster has {needed} for a worker"
        if not (grows and cores and self.workers):
            raise BadOption(
                f"{lacking}: start some, or lower --jobs; a cluster that grows by itself needs "
                "both --workers and --jobs."
            )
        _log.warning("%s: waiting until one has joined it", lacking)


def _try_out(address: str | None) -> None:
    """OSError if nobody listens at an address, which Ray would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "://" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """A block in which Ray may put handlers of its own for Ctrl-C and SIGTERM."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
