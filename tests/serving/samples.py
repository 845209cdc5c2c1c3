"""What a text for Prometheus says, read by Prometheus's own library."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Samples:
    families: Mapping[str, Metric]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all series with these labels; 0 for none."""
        return sum(value for _, value in self.series(name, **labels))

    def series(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    yield sample.labels, sample.value

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has."""
        return {labels[label] for labels, _ in self.series(name)}


def read(text: str) -> Samples:
    parse = openmetrics.text_string_to_metric_families if text.endswith("# EOF\n") else text_string_to_metric_families
    return Samples({family.name: family for family in parse(text)})
