"""GPUs as NVIDIA's library tells of them. No machine of ours has one: `Machine` stands in for that library, and what it
says is taken from its documentation; the real one is only asked where there is no driver.
"""

from dataclasses import dataclass, field

from serving.metrics.gpus import Gpus


class NVMLError(Exception):
    pass


@dataclass
class Memory:
    total: int
    used: int


@dataclass
class Rates:
    gpu: int


@dataclass
class Device:
    """`busy`: percent; None where it is a part of a device, which does not count that."""

    used: int
    busy: int | None = 0
    fallen: bool = False
    """Off the bus, as the driver says."""


@dataclass
class Machine:
    """A machine with these devices, as its driver tells of them."""

    devices: list[Device] = field(default_factory=list)
    driver: bool = True
    NVMLError = NVMLError

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's names
        if not self.driver:
            raise NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:  # noqa: N802
        return self.devices[index]

    def nvmlDeviceGetMemoryInfo(self, handle: Device) -> Memory:  # noqa: N802
        if handle.fallen:
            raise NVMLError("GPU is lost")
        return Memory(24 << 30, handle.used)

    def nvmlDeviceGetUtilizationRates(self, handle: Device) -> Rates:  # noqa: N802
        if handle.busy is None:
            raise NVMLError("Not Supported")
        return Rates(handle.busy)


def of(machine: Machine) -> Gpus:
    return Gpus(lambda: machine)


def told(gpus: Gpus) -> dict[tuple[str, str], float]:
    return {(name.removeprefix("slipway_gpu_"), *labels): value for name, labels, value in gpus.gauges()}  # type: ignore[misc]


def test_each_device_tells_its_memory_and_how_busy_it_is() -> None:
    gpus = of(Machine([Device(used=6 << 30, busy=75), Device(used=0)]))

    assert told(gpus) == {
        ("memory_bytes", "0"): 24 << 30,
        ("memory_used_bytes", "0"): 6 << 30,
        ("utilization_ratio", "0"): 0.75,
        ("memory_bytes", "1"): 24 << 30,
        ("memory_used_bytes", "1"): 0,
        ("utilization_ratio", "1"): 0,
    }


def test_what_is_told_is_what_is_so_now() -> None:
    machine = Machine([Device(used=0)])
    gpus = of(machine)
    told(gpus)

    machine.devices[0].used = 1 << 30

    assert told(gpus)["memory_used_bytes", "0"] == 1 << 30


def test_a_device_that_is_lost_hides_no_other() -> None:
    machine = Machine([Device(used=1), Device(used=2)])
    gpus = of(machine)
    told(gpus)

    machine.devices[0].fallen = True

    assert {device for _, device in told(gpus)} == {"1"}


def test_a_part_of_a_device_tells_its_memory_only() -> None:
    assert set(told(of(Machine([Device(used=1, busy=None)])))) == {("memory_bytes", "0"), ("memory_used_bytes", "0")}


def test_a_machine_without_a_driver_has_nothing_to_tell() -> None:
    assert told(of(Machine([Device(used=1)], driver=False))) == {}


def test_the_real_library_has_what_is_used_of_it() -> None:
    import pynvml

    assert not [name for name in vars(Machine) if name.startswith("nvml") and not callable(getattr(pynvml, name))]
    assert issubclass(pynvml.NVMLError, Exception)
    assert {"total", "used"} <= {name for name, *_ in pynvml.c_nvmlMemory_t._fields_}
    assert "gpu" in {name for name, *_ in pynvml.c_nvmlUtilization_t._fields_}
    Gpus().gauges()  # of whatever this machine has
