"""What the machine's GPUs have to do, as NVIDIA's library tells it: of a whole device, whoever uses it.

Asked when somebody asks for metrics, in a thread. Without that library, a driver or a device there is nothing to tell.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from serving.metrics.declared import GPU_BUSY, GPU_MEMORY, GPU_MEMORY_USED
from serving.metrics.now import Gauge

log = logging.getLogger(__name__)


class Library(Protocol):
    """What is used of `pynvml`. https://docs.nvidia.com/deploy/nvml-api/"""

    @property
    def NVMLError(self) -> type[Exception]: ...  # noqa: N802 - NVIDIA's names
    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # noqa: N802


def nvidias() -> Library:
    """ImportError where it is not installed; without a driver it says so when it is asked."""
    import pynvml

    return cast(Library, pynvml)


class Gpus:
    """Looks for devices once: one that comes later is seen when the worker is started again."""

    def __init__(self, library: Callable[[], Library] = nvidias) -> None:
        self._library = library
        self._devices: list[Device] | None = None
        self._asking = threading.Lock()

    def gauges(self) -> list[Gauge]:
        """Blocks for some milliseconds, the first time for longer."""
        with self._asking:
            if self._devices is None:
                self._devices = self._found()
            return [gauge for device in self._devices for gauge in device.gauges()]

    def _found(self) -> "list[Device]":
        try:
            library = self._library()
        except ImportError:
            return []
        try:
            library.nvmlInit()
            count = library.nvmlDeviceGetCount()
            return [Device(library, str(index), library.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
        except library.NVMLError as error:  # most machines have none
            log.debug("no GPU", extra={"reason": str(error)})
            return []


@dataclass(frozen=True)
class Device:
    library: Library
    index: str
    handle: Any

    def gauges(self) -> Iterator[Gauge]:
        """None of one that is lost; of a part of a device, which does not count how busy it is, only the memory."""
        try:
            memory = self.library.nvmlDeviceGetMemoryInfo(self.handle)
            yield GPU_MEMORY.name, (self.index,), memory.total
            yield GPU_MEMORY_USED.name, (self.index,), memory.used
            yield GPU_BUSY.name, (self.index,), self.library.nvmlDeviceGetUtilizationRates(self.handle).gpu / 100
        except self.library.NVMLError as error:
            log.debug("a GPU does not tell", extra={"device": self.index, "reason": str(error)})
