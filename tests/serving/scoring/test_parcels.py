"""What is sent comes out as it was, a refusal too."""

import pyarrow as pa
import pytest

from serving.scoring.parcels import Parcel, opened, packed
from serving.scoring.refusal import BadInput, NotScored


def test_tables_arrive_as_they_were_sent_whatever_is_put_together_on_the_way() -> None:
    first = pa.table({"id": ["007", None], "many": [[1], [2, 3]]})
    second = pa.table({"x": pa.array([], pa.float32())})

    found = list(opened(pa.concat_tables([packed(Parcel(0, first, "node 1")), packed(Parcel(2, second))])))

    assert [(each.before, each.by) for each in found] == [(0, "node 1"), (2, "")]
    assert found[0].content.equals(first)
    assert found[1].content.equals(second)


@pytest.mark.parametrize("kind", [BadInput, NotScored])
def test_a_refusal_arrives_as_one(kind: type[NotScored]) -> None:
    (found,) = opened(packed(Parcel(7, kind("row 8: no"))))

    assert (type(found.content), str(found.content)) == (kind, "row 8: no")
