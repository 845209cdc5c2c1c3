import gc
import os
import re
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from serving.errors import InvalidInput, NoLongerWanted, PredictionFailed, RowsRefused, TooLarge, VersionRefused
from serving.hosting import messages
from serving.hosting.hosted import GONE, Host, HostedModel, Hosts
from serving.lifeline import YIELDS
from serving.logs import where
from serving.protocol import CSV, JSON, PREDICT_PROBA, NotRows, Rows
from serving.runtimes import choice, mlmodel
from serving.trust import Trust
from tests.fakes import a_version
from tests.servers import eventually
from tests.serving.conftest import TABLE, quiet, slope
from tests.serving.hosting.conftest import WITH_CODE, Forking, a_pyfunc, alive
from tests.serving.manifests import write_manifest
from tests.serving.twins import a_twin

ONE_ROW = Rows((np.array([[2.0, 1.0]]),), 1)


@pytest.fixture
def hosts(forking: Forking) -> Hosts:
    return Hosts(forking.door, rules=WITH_CODE)


def hosted(hosts: Hosts, folder: Path) -> HostedModel:
    model = hosts.load(folder)
    assert isinstance(model, HostedModel)
    return model


def x_of(*values: float) -> Rows:
    return Rows((np.array([[value, 1.0] for value in values]),), len(values))


def answers(model: HostedModel) -> bool:
    try:
        return bool(model.predict(ONE_ROW).outputs[0].tolist() == [2])
    except PredictionFailed:
        return False


def test_a_version_answers_from_its_host_as_it_does_here(hosts: Hosts, tmp_path: Path) -> None:
    numbers = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0]])
    fitted = LogisticRegression().fit(numbers, ["no", "yes", "no"])
    with quiet():
        mlflow.sklearn.save_model(
            fitted,
            str(tmp_path / "sklearn"),
            serialization_format="skops",
            signature=infer_signature(numbers, fitted.predict(numbers)),
            input_example=numbers[:1],
            pip_requirements=["scikit-learn"],
        )

    there, here = hosted(hosts, tmp_path / "sklearn"), choice.load(tmp_path / "sklearn")

    assert (there.runtime, there.platform, there.joins, there.probabilities) == ("native", "mlflow_sklearn", True, True)
    assert there.predict(Rows((numbers,), 3)).outputs[0].tolist() == fitted.predict(numbers).tolist()
    probabilities = there.predict(Rows((numbers,), 3, PREDICT_PROBA)).outputs[0]
    assert probabilities.tobytes() == fitted.predict_proba(numbers).tobytes()
    body = b'{"inputs": [[1, 2], [2, 1]]}'
    assert there.invoke(JSON, body) == here.invoke(JSON, body)


def test_a_twin_needs_no_host(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    before = forking.hosts()

    model = hosts.load(a_twin(tmp_path / "twin", factor=3))

    assert (model.runtime, model.predict(ONE_ROW).outputs[0].tolist()) == ("onnx", [6])
    assert forking.hosts() <= before


def test_a_version_that_loads_and_predicts_its_example_passes_and_leaves_nothing(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    with quiet():
        mlflow.sklearn.save_model(
            slope(3),
            str(tmp_path / "sklearn"),
            serialization_format="skops",
            signature=infer_signature(TABLE),
            input_example=TABLE.head(1),
            pip_requirements=["scikit-learn"],
        )

    hosts.attempt(tmp_path / "sklearn")
    hosts.attempt(a_twin(tmp_path / "twin"))

    eventually(lambda: not forking.hosts())


@pytest.mark.parametrize(
    ("loading", "reason"),
    [
        ("raise OSError('the file is broken')", "^OSError: the file is broken$"),
        ("raise SystemExit(3)", "^SystemExit: 3$"),
        ("raise ValueError('one line\\n and another')", "^ValueError: one line$"),
        ("raise KeyboardInterrupt", "^KeyboardInterrupt: $"),
        ("os._exit(3)", r"^it ended the process that tried it \(status 3\)$"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"^it ended the process that tried it \(status -11\)$"),
    ],
    ids=["raises", "exits", "says two lines", "interrupts", "ends the process", "segfaults"],
)
def test_what_a_version_does_wrong_is_the_reason_of_its_refusal(
    hosts: Hosts, tmp_path: Path, loading: str, reason: str
) -> None:
    with pytest.raises(VersionRefused, match=reason):
        hosts.attempt(a_pyfunc(tmp_path / "wrong", loading))


def test_a_version_that_cannot_predict_its_own_example_is_refused(hosts: Hosts, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "model")
    (folder / "serving_input_example.json").write_text('{"dataframe_records": [{"x": "one", "size": 1}]}')

    with pytest.raises(VersionRefused, match="InvalidInput: row 1, column 'x'"):
        hosts.attempt(folder)


@pytest.mark.parametrize("hangs", ["threading.Event().wait()", "[0 for _ in iter(int, 1)]"], ids=["waits", "computes"])
def test_a_version_that_hangs_is_refused_and_its_process_ended(forking: Forking, tmp_path: Path, hangs: str) -> None:
    Hosts(forking.door).attempt(a_twin(tmp_path / "good"))  # from here on the fork server has its imports done

    with pytest.raises(VersionRefused, match="it did not predict its own example within 1 s"):
        Hosts(forking.door, rules=WITH_CODE, patience_seconds=1).attempt(a_pyfunc(tmp_path / "hanging", hangs))

    eventually(lambda: not forking.hosts())


def test_a_trial_yields_to_requests_and_a_version_that_answers_does_not(hosts: Hosts, tmp_path: Path) -> None:
    told = tmp_path / "nice"
    loading = f"open({str(told)!r}, 'a').write(f'{{os.nice(0)}} ')"
    folder = a_pyfunc(tmp_path / "model", loading)

    hosts.attempt(folder)
    hosts.load(folder)

    assert told.read_text().split() == [str(os.nice(0) + YIELDS), str(os.nice(0))]


def test_a_version_that_hangs_and_is_no_longer_wanted_holds_up_nobody(forking: Forking, tmp_path: Path) -> None:
    hosts = Hosts(forking.door, rules=WITH_CODE)
    asked = iter([False, False, True])

    with pytest.raises(NoLongerWanted):
        hosts.attempt(a_pyfunc(tmp_path / "hanging", "threading.Event().wait()"), lambda: next(asked))

    eventually(lambda: not forking.hosts())


def test_what_a_version_prints_is_not_taken_for_an_answer(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    said = """print('{"reason": "I am broken"}', flush=True); os.system("echo '{}'"); os.write(1, b'[]')"""

    model = hosted(hosts, a_pyfunc(tmp_path / "printing", said, "print('predicting', flush=True)"))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    assert "I am broken" in forking.log.read_text()


def test_without_a_fork_server_a_version_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(VersionRefused, match="the process that tried it is gone, or was never there"):
        Hosts(tmp_path / "nothing").attempt(a_twin(tmp_path / "twin"))


def test_a_host_ends_when_its_model_is_let_go(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model"))
    model.predict(ONE_ROW)
    assert len(forking.hosts()) == 1

    del model
    gc.collect()

    eventually(lambda: not forking.hosts())


def test_a_host_can_be_ended_and_another_one_answers_the_next_call(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "1"))
    before = forking.hosts()

    model.end()

    eventually(lambda: not forking.hosts() & before)
    assert answers(model)


def test_a_host_that_is_stuck_ends_with_the_worker_that_was_killed(forking: Forking, tmp_path: Path) -> None:
    folder = a_pyfunc(
        tmp_path / "stuck", predicting="x[0] == 2 and (print('stuck', flush=True), threading.Event().wait())"
    )
    worker = os.fork()
    if not worker:
        try:
            Hosts(forking.door, rules=WITH_CODE).load(folder).predict(ONE_ROW)
        finally:
            os._exit(1)
    eventually(lambda: "stuck" in forking.log.read_text())
    (host,) = forking.hosts()

    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)

    eventually(lambda: not alive(psutil.Process(host)) if psutil.pid_exists(host) else True)


def test_a_model_that_kills_its_process_fails_that_request_only(
    hosts: Hosts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "fragile", predicting="x[0] == 13 and os._exit(4)"))

    with pytest.raises(PredictionFailed):
        model.predict(x_of(13))

    assert model.predict(x_of(2, 3)).outputs[0].tolist() == [2, 3]
    died = [record for record in caplog.records if record.message == "host died"]
    assert [record.__dict__["status"] for record in died] == ["status 4"]
    assert [record.__dict__["folder"] for record in died] == [f"{tmp_path.name}/fragile"]


def test_a_host_that_was_killed_is_replaced_before_the_next_request(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model"))
    (killed,) = forking.hosts()

    before = model._host
    assert before is not None

    os.kill(killed, signal.SIGKILL)
    eventually(lambda: before.ended)

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    assert forking.hosts() - {killed}


@pytest.mark.parametrize(
    "predicting",
    ["raise SystemExit(3)", "x = __import__('numpy').array(['\\ud800'], object)", "raise KeyboardInterrupt"],
    ids=["exits", "half", "^C"],
)
def test_one_request_that_goes_wrong_leaves_the_host_to_the_others(
    hosts: Hosts, forking: Forking, tmp_path: Path, predicting: str
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting=f"if x[0] == 13: {predicting}"))
    before = forking.hosts()

    with pytest.raises(PredictionFailed):
        model.predict(x_of(13))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    assert forking.hosts() == before


def test_a_process_without_a_free_descriptor_fails_a_request_and_not_the_host(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model"))
    before, (soft, hard) = forking.hosts(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(PredictionFailed):
            model.predict(ONE_ROW)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    assert forking.hosts() == before


def test_a_host_that_is_stuck_in_c_ends_when_its_line_is_closed(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    """There no thread of its own can see it."""
    stuck = "x[0] == 2 and (print('in c', flush=True), __import__('ctypes').PyDLL(None).sleep(600))"
    running = hosts._start(a_pyfunc(tmp_path / "model", predicting=stuck))
    told: list[BaseException] = []

    def call() -> None:
        try:
            running.call(lambda channel: messages.ask(channel, ONE_ROW))
        except GONE as error:
            told.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    eventually(lambda: "in c" in forking.log.read_text())

    running.close()

    eventually(lambda: running.pid not in forking.hosts())
    caller.join(20)
    assert len(told) == 1


def test_what_a_model_starts_ends_with_its_host(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    starts = "print('child', __import__('subprocess').Popen(['sleep', '600']).pid, flush=True)"
    hosts.attempt(a_pyfunc(tmp_path / "model", starts))

    (child,) = re.findall(r"child (\d+)", forking.log.read_text())
    eventually(lambda: not psutil.pid_exists(int(child)) or not alive(psutil.Process(int(child))))


def test_a_model_that_forks_and_dies_leaves_no_caller_waiting(hosts: Hosts, tmp_path: Path) -> None:
    forks = "x[0] == 13 and (os.fork() and os._exit(4) or threading.Event().wait())"
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting=forks))

    with pytest.raises(PredictionFailed):
        model.predict(x_of(13))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]


def test_a_host_that_cannot_start_again_is_not_tried_by_every_caller(tmp_path: Path, forking: Forking) -> None:
    tried: list[int] = []
    first = Hosts(forking.door, rules=WITH_CODE)._start(a_pyfunc(tmp_path / "model"))

    def start() -> Host:
        tried.append(1)
        if len(tried) == 1:
            return first
        raise VersionRefused("no memory")

    model = HostedModel(mlmodel.read(tmp_path / "model"), start, lambda: None)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: first.ended)

    for _ in range(5):
        with pytest.raises(PredictionFailed):
            model.predict(ONE_ROW)

    assert len(tried) == 2


def test_a_host_computes_with_one_thread(hosts: Hosts, tmp_path: Path) -> None:
    counts = "import numpy, threadpoolctl; x = x * max(each['num_threads'] for each in threadpoolctl.threadpool_info())"
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting=counts))

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]


def test_a_version_whose_files_are_gone_when_its_host_dies_fails_until_they_are_back(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    folder = a_pyfunc(tmp_path / "model", predicting="x[0] == 13 and os._exit(4)")
    model = hosted(hosts, folder)
    folder.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(PredictionFailed):
            model.predict(x_of(13))

    (tmp_path / "away").rename(folder)

    eventually(lambda: answers(model))


def test_calls_run_side_by_side_and_each_gets_its_own_answer(hosts: Hosts, tmp_path: Path) -> None:
    """Eight calls that each wait for the seven others."""
    together = "x[0] != 1 and __import__('builtins').__dict__.setdefault('met', threading.Barrier(8)).wait(20)"
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting=together))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda value: model.predict(x_of(value)).outputs[0].tolist(), range(2, 10)))

    assert answers == [[value] for value in range(2, 10)]


@pytest.mark.parametrize(
    ("predicting", "error", "frame"),
    [
        ("raise ValueError('secret')", RowsRefused, "ValueError"),
        ("raise RuntimeError('secret')", PredictionFailed, "RuntimeError"),
        ("raise SystemError('secret')", PredictionFailed, "SystemError"),
    ],
)
def test_what_a_model_raises_arrives_with_its_place_and_without_its_words(
    hosts: Hosts, tmp_path: Path, predicting: str, error: type[Exception], frame: str
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting=f"if x[0] == 13: {predicting}"))

    with pytest.raises(error) as caught:
        model.predict(x_of(13))

    assert frame in where(caught.value)
    assert "loader_of" in where(caught.value)
    assert "secret" not in where(caught.value) + str(caught.value)
    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]


def test_a_body_that_only_mlflow_can_read_is_refused_with_its_reason(hosts: Hosts, tmp_path: Path) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model"))

    with pytest.raises(InvalidInput, match="column 'size' is missing"):
        model.invoke(CSV, b"x\n1\n")
    with pytest.raises(TooLarge, match="may have 1 rows"):
        model.invoke(CSV, b"x,size\n1,1\n2,1\n", 1)


def test_answers_that_are_no_rows_are_from_then_on_mlflows(hosts: Hosts, tmp_path: Path) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "model", predicting="if x[0] == 13: return {'one': 1}"))
    planned = [model.plan is not None]

    with pytest.raises(NotRows):
        model.predict(x_of(13))

    assert [*planned, model.plan is not None] == [True, False]
    body = b'{"dataframe_records": [{"x": 13, "size": 1}]}'
    assert model.invoke(JSON, body) == b'{"predictions": {"one": 1}}'


def test_two_versions_at_once_do_not_meet(hosts: Hosts, tmp_path: Path) -> None:
    """Each loads and answers in a process of its own, though they start at the same moment."""
    folders = [a_pyfunc(tmp_path / f"model{number}", predicting=f"x = x * {number}") for number in range(1, 5)]
    models: dict[int, HostedModel] = {}

    def load(number: int) -> None:
        models[number] = hosted(hosts, folders[number - 1])

    threads = [threading.Thread(target=load, args=[number]) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {number: model.predict(x_of(7)).outputs[0].tolist() for number, model in models.items()} == {
        number: [7 * number] for number in range(1, 5)
    }


def test_a_model_that_draws_random_numbers_draws_others_in_every_host(hosts: Hosts, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "model", predicting="import numpy; x = numpy.random.random(1)")

    first, second = (hosted(hosts, folder).predict(ONE_ROW).outputs[0].item() for _ in range(2))

    assert first != second


def test_a_versions_own_code_leaves_no_file_beside_it(hosts: Hosts, tmp_path: Path) -> None:
    """A manifest would not have it, and the version would be refused at the next look."""
    folder = a_pyfunc(tmp_path / "own")
    before = sorted(folder.rglob("*"))

    hosts.attempt(folder)

    assert sorted(folder.rglob("*")) == before


def test_a_host_is_not_replaced_from_files_that_were_changed_meanwhile(hosts: Hosts, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "changed", predicting="rows['x'].iloc[0] < 0 and os._exit(3)")
    version = replace(a_version(1), tags=write_manifest(folder))
    module = next((folder / "code").iterdir())
    whole = module.read_text()
    model = hosts.load(folder, lambda: Trust("digest").check(folder, version))
    with pytest.raises(PredictionFailed):
        model.predict(x_of(-1))
    module.write_text(whole.replace("return x", "return -x"))

    with pytest.raises(PredictionFailed):
        model.predict(x_of(2))

    module.write_text(whole)

    def answered() -> list[object] | None:
        with suppress(PredictionFailed):  # the last refusal holds for a moment
            return list(model.predict(x_of(2)).outputs[0].tolist())
        return None

    assert eventually(answered) == [2]
