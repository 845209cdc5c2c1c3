"""Versions that must not be served: each is refused with its reason, under load, and the old one keeps answering."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.publisher import Publisher, questions, with_twin
from tests.e2e.running import PROMOTED_SECONDS, Running, serving
from tests.load.rest import RestLoad
from tests.servers import Stack, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.manifests import OURS, THEIRS, public, write_manifest

pytestmark = pytest.mark.slow

LOAD_SECONDS = 20
"""Within which a version must be loaded; one that hangs is refused then."""
LARGEST_BYTES = 4 << 20
CONNECTIONS, EVERY_SECONDS = 4, 0.05
FACTORS = {1: 2.0, 3: 4.0}
"""Of version 2 nobody knows an answer: it is the one that is refused."""
FOR_EVER = "threading.Event().wait()"
FOR_EVER_IN_C = "__import__('ctypes').PyDLL(None).pause()"
"""With Python's lock held, so that no thread and no signal handler of the process runs any more."""
Write = Callable[[Path], object]


@dataclass(frozen=True)
class Fault:
    """How version 2 is made, who signs its manifest, what is put into it afterwards, and what serving says then."""

    make: Write
    reason: str
    key: Ed25519PrivateKey | None = OURS
    manifest: bool = True
    afterwards: Callable[[Path], Path] | None = None
    """Changes a file and says which."""


def twin(folder: Path) -> None:
    with_twin(folder, 3)


def python(loading: str = "pass", predicting: str = "pass") -> Write:
    return lambda folder: a_pyfunc(folder, loading, predicting)


def without_yaml(folder: Path) -> None:
    twin(folder)
    (folder / "MLmodel").write_text("flavors: {python_function: [")


def without_mlmodel(folder: Path) -> None:
    twin(folder)
    (folder / "MLmodel").unlink()


def with_broken_graph(folder: Path) -> None:
    """Measured and signed as it is, and no graph all the same; what it was made from is not there."""
    twin(folder)
    (folder / "model.onnx").write_bytes(b"no graph")
    card = json.loads((folder / "twin.json").read_text())
    (folder / "twin.json").write_text(json.dumps({**card, "sha256": hashlib.sha256(b"no graph").hexdigest()}))


def oversized(folder: Path) -> None:
    twin(folder)
    (folder / "weights").write_bytes(bytes(LARGEST_BYTES))


def one_bit(folder: Path) -> Path:
    graph = folder / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    return graph


def one_more(folder: Path) -> Path:
    (folder / "more.py").write_text("print('hello')")
    return folder / "more.py"


FAULTS = {
    "no-yaml": Fault(without_yaml, "its MLmodel is not one that MLflow writes"),
    "no-mlmodel": Fault(without_mlmodel, "MLmodel"),
    "broken-graph": Fault(with_broken_graph, "has no flavour python_function"),
    "one-bit-other": Fault(twin, "'model.onnx' is not the file that its manifest describes", afterwards=one_bit),
    "one-file-more": Fault(twin, "'more.py' is not in its manifest", afterwards=one_more),
    "unsigned": Fault(twin, "it is not signed, and SERVING_TRUST=signed asks for that", key=None),
    "signed-by-others": Fault(twin, "none of the keys in SERVING_TRUST_KEYS", key=THEIRS),
    "no-manifest": Fault(twin, "it has no manifest, and SERVING_TRUST=signed asks for one", manifest=False),
    "raises-at-load": Fault(python("raise RuntimeError('no weights')"), "RuntimeError: no weights"),
    "raises-at-predict": Fault(python(predicting="raise RuntimeError('no weights')"), "RuntimeError: no weights"),
    "exits-at-load": Fault(python("os._exit(3)"), "it ended the process that tried it (status 3)"),
    "exits-at-predict": Fault(python(predicting="os._exit(3)"), "it ended the process that tried it (status 3)"),
    "segfault-at-load": Fault(
        python("os.kill(os.getpid(), signal.SIGSEGV)"), "it ended the process that tried it (status -11)"
    ),
    "segfault-at-predict": Fault(
        python(predicting="os.kill(os.getpid(), signal.SIGSEGV)"), "it ended the process that tried it (status -11)"
    ),
    "hangs-at-load": Fault(python(FOR_EVER), f"it did not predict its own example within {LOAD_SECONDS} s"),
    "hangs-at-predict": Fault(
        python(predicting=FOR_EVER), f"it did not predict its own example within {LOAD_SECONDS} s"
    ),
    "hangs-in-c": Fault(
        python(predicting=FOR_EVER_IN_C), f"it did not predict its own example within {LOAD_SECONDS} s"
    ),
    "oversized": Fault(oversized, "SERVING_LARGEST_VERSION (in bytes) takes larger ones"),
}


@pytest.fixture(scope="module")
def publishers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Publisher]:
    """A model for each fault, with a right version 1 in Production."""
    folder = tmp_path_factory.mktemp("right")
    made = with_twin(folder / "1", FACTORS[1])
    tags = write_manifest(made, OURS)
    found = {fault: Publisher(stack.tracking_uri, f"refused-{fault}") for fault in FAULTS}
    for each in found.values():
        each.promote(each.publish(made, tags))
    return found


@pytest.fixture(scope="module")
def running(
    stack: Stack, publishers: dict[str, Publisher], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    models = [each.name for each in publishers.values()]
    names = {
        "SERVING_TRUST": "signed",
        "SERVING_TRUST_KEYS": base64.b64encode(public(OURS)[0]).decode(),
        "SERVING_LOAD_SECONDS": str(LOAD_SECONDS),
        "SERVING_LARGEST_VERSION": str(LARGEST_BYTES),
    }
    with serving(stack.env, tmp_path_factory.mktemp("serving"), *models, **names) as started:
        yield started


@pytest.mark.parametrize("name", FAULTS)
def test_a_version_that_must_not_be_served_is_refused_and_the_old_one_answers(
    publishers: dict[str, Publisher], running: Running, tmp_path: Path, name: str
) -> None:
    fault, publisher = FAULTS[name], publishers[name]
    model = publisher.name
    wrong, right = tmp_path / "wrong", with_twin(tmp_path / "right", FACTORS[3])
    fault.make(wrong)
    assert publisher.publish(wrong, write_manifest(wrong, fault.key) if fault.manifest else None) == 2
    if fault.afterwards:
        publisher.overwrite(2, fault.afterwards(wrong))
    assert publisher.publish(right, write_manifest(right, OURS)) == 3

    load = RestLoad(running.port, model, questions(FACTORS), connections=CONNECTIONS, every_seconds=EVERY_SECONDS)
    with load:
        publisher.promote(2)
        eventually(lambda: _told(running, model), seconds=LOAD_SECONDS + 30)
        refusal = running.metadata(model)["last_refusal"]
        assert refusal["version"] == 2
        assert fault.reason in refusal["reason"]
        assert load.all_answer(1)

        publisher.promote(3)
        eventually(lambda: load.all_answer(3), seconds=LOAD_SECONDS + 30)

    assert load.record.failures == []
    assert set(load.record.answers()["version"].tolist()) == {1, 3}


def test_a_version_that_hangs_does_not_hold_up_the_next_promotion(
    stack: Stack, unique_name: str, tmp_path: Path
) -> None:
    publisher, hanging = Publisher(stack.tracking_uri, unique_name), tmp_path / "2"
    python(predicting=FOR_EVER_IN_C)(hanging)
    for made in (with_twin(tmp_path / "1", FACTORS[1]), hanging, with_twin(tmp_path / "3", FACTORS[3])):
        publisher.publish(made)
    publisher.promote(1)
    with (
        serving(stack.env, tmp_path, unique_name, SERVING_LOAD_SECONDS="600") as running,
        RestLoad(running.port, unique_name, questions(FACTORS), connections=4, every_seconds=EVERY_SECONDS) as load,
    ):
        publisher.promote(2)
        eventually(lambda: [line for line in running.logged("version loading") if line["version"] == 2])
        assert load.all_answer(1)

        publisher.promote(3)
        eventually(lambda: load.all_answer(3), seconds=PROMOTED_SECONDS)

    assert load.record.failures == []


def _told(running: Running, model: str) -> bool:
    """Does every worker tell of a refusal? If eight answers in a row do."""
    return all(running.metadata(model)["last_refusal"] for _ in range(8))
