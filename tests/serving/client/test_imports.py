"""The client needs httpx alone: what else it can use, it imports when that is used."""

import subprocess
import sys

from tests.servers import ROOT

HEAVY = "numpy", "pandas", "pyarrow", "grpc", "google", "mlflow", "fastapi", "msgspec", "sklearn"
WITHOUT = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_importing_it_imports_nothing_heavy_and_nothing_of_the_server() -> None:
    loaded = python("import sys, serving.client, serving.client.__main__; print(*sys.modules)").split()

    assert not set(HEAVY) & set(loaded)
    ours = {name for name in loaded if name.startswith("serving")}
    assert {name for name in ours if not name.startswith("serving.client")} == {"serving"}


def test_it_answers_lists_and_dicts_where_nothing_else_is_installed() -> None:
    from tests.serving.client.conftest import Misbehaving

    with Misbehaving() as server:
        asked = f"from serving.client import Client; print(Client({server.url!r}).predict([{{'a': 1.5}}]))"

        assert python(WITHOUT + asked) == "[6]\n"
    assert server.bodies == [b'{"dataframe_records":[{"a":1.5}]}']


def test_grpc_without_its_packages_says_what_is_missing() -> None:
    code = """
from serving.client import Client
try:
    Client("grpc://127.0.0.1:1", model="iris")
except ImportError as error:
    print(error)
"""
    assert python(WITHOUT + code) == "gRPC needs the packages grpcio and protobuf\n"


def test_over_grpc_it_imports_messages_and_no_server() -> None:
    made = "import sys; from serving.client import Client; Client('grpc://127.0.0.1:1', model='iris')"
    ours = {name for name in python(f"{made}; print(*sys.modules)").split() if name.startswith("serving.")}

    assert {name for name in ours if not name.startswith("serving.client")} == {
        "serving.rpc",
        "serving.rpc.pool",
        "serving.rpc.generated",
        "serving.rpc.generated.open_inference_pb2",
        "serving.rpc.generated.open_inference_pb2_grpc",
    }
