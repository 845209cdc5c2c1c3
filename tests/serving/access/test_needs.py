import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access import needs
from serving.access.needs import HEALTH, SIGNED, Need
from serving.access.scopes import Scope


@pytest.mark.parametrize(
    ("path", "need"),
    [
        ("/invocations", Need(Scope.PREDICT, "iris")),
        ("/v1/models/wine/invocations", Need(Scope.PREDICT, "wine")),
        ("/v2/models/wine/infer", Need(Scope.PREDICT, "wine")),
        ("/v2/models/wine/versions/3/infer", Need(Scope.PREDICT, "wine")),
        ("/v2/models/wine", Need(None, "wine")),
        ("/v2/models/wine/ready", Need(None, "wine")),
        ("/v1/models/wine/jobs", Need(Scope.JOBS, "wine")),
        ("/v1/models/wine/jobs/7/result", Need(Scope.JOBS, "wine")),
        ("/metrics", Need(Scope.METRICS)),
        ("/v2", Need()),
        ("/docs", Need()),
        ("/openapi.json", Need(None, "iris")),
        ("/not/there", Need()),
    ],
)
def test_a_path_needs_the_scope_of_what_it_does(path: str, need: Need) -> None:
    assert needs.of(path, "iris") == need


@given(st.text(alphabet="/abvjoinferhltd12modelsproctins._%", max_size=40))
def test_no_path_is_open_by_accident(path: str) -> None:
    assert needs.of(path, "iris") is not None or path in HEALTH | {SIGNED}
