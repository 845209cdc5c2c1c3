"""Everything pipelines may refuse to do; each carries the sentence that a person reads.

PipelineError
├── BadParams        params.yaml says something that cannot be
├── BadSettings      the environment does
├── BadKey           the file of the signing key is not one
├── BadData          the data does not fit what was said of it
├── BadSource        there is no data where ingest looks
├── Differs          a version was made again and is not the same
├── FilesChanged     a version's files are not those of its manifest
├── GateRefused      a version may not become Production
├── NoCandidate      there is no candidate, or no longer this one
├── NoGolden         a version has no golden sample, or none can be made of these rows
├── NoReport         a promotion's report cannot be attached to its version
├── NoTwin           a model's ONNX twin cannot be made, or differs from it
├── NotReproducible  something that a version was made from is not there any more
├── StageFailed      DVC could not finish, or a stage; it has said why
├── Undecided        watching a candidate ended without a verdict
├── UnknownData      no run and no version has seen this data
└── UnknownVersion   the registry has no such version, or MLflow no such run
"""

import re
import sys
import textwrap
from collections.abc import Callable


class PipelineError(Exception):
    """Stops a stage with one line instead of a traceback."""


class BadParams(PipelineError): ...


class BadSettings(PipelineError): ...


class BadKey(PipelineError): ...


class BadData(PipelineError): ...


class BadSource(PipelineError): ...


class Differs(PipelineError): ...


class FilesChanged(PipelineError): ...


class GateRefused(PipelineError): ...


class NoCandidate(PipelineError): ...


class NoGolden(PipelineError): ...


class NoReport(PipelineError): ...


class NoTwin(PipelineError): ...


class NotReproducible(PipelineError): ...


class StageFailed(PipelineError): ...


class Undecided(PipelineError): ...


class UnknownData(PipelineError): ...


class UnknownVersion(PipelineError): ...


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a PipelineError becomes its sentence on standard error and exit code 1."""
    try:
        main()
    except PipelineError as refusal:
        reason = str(refusal)
    except Exception as failure:
        # By name: what imports no MLflow must not wait two seconds for it here.
        if type(failure).__name__ != "MlflowException":
            raise
        reason = _of_mlflow(failure)
    else:
        return
    sys.stderr.write(f"{main.__globals__['__spec__'].name}: {reason}\n")
    raise SystemExit(1)


def _of_mlflow(failure: Exception) -> str:
    """A server that is not there in a person's words; what else MLflow says in its own, and not all of it."""
    text = str(failure).partition("\n")[0]
    address = re.match(r"API request to (https?://)(?:[^/\s@]*@)?([^/\s]+)", text)
    cause: BaseException = failure
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if address is None or not isinstance(cause, OSError):
        return f"MLflow: {textwrap.shorten(text, 300, placeholder=' …')} (is the stack up? `make status`)"
    why = "it said nothing in time" if isinstance(cause, TimeoutError) else (cause.strerror or str(cause)).lower()
    return f"MLflow at {address[1]}{address[2]} cannot be reached: {why}; is the stack up? `make status`"
