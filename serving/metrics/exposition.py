"""What is counted, as the text that Prometheus reads. The only module that knows its client library.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from serving import __version__
from serving.metrics.declared import ANSWERS, BUILD, COMPUTED, GROUPS
from serving.metrics.merged import Doubles, Labels, Merged
from serving.metrics.shapes import Group, Metric

Series = Iterator[tuple[Labels, Doubles]]


def text(merged: Merged, accept: str) -> tuple[bytes, str]:
    """OpenMetrics where the header `accept` asks for it, else Prometheus's own format; and the content type."""
    encode, media_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(merged))
    return encode(registry), media_type


class _Collected(Collector):
    def __init__(self, merged: Merged) -> None:
        self._merged = merged

    def collect(self) -> Iterable[Family]:
        for group in GROUPS.values():
            for metric in group.metrics:
                yield _counted(metric, group.labels + metric.labels, self._series(group, metric))
        for computed in COMPUTED:
            kind = CounterMetricFamily if computed.kind == "counter" else GaugeMetricFamily
            family = kind(computed.name, computed.question, labels=computed.labels)
            values = {(__version__,): 1.0} if computed is BUILD else self._merged.gauges.get(computed.name, {})
            for labels, value in sorted(values.items()):
                family.add_metric(labels, value)
            yield family

    def _series(self, group: Group, metric: Metric) -> Series:
        """From 0 on, for Prometheus sees no increase in a series that begins at 1; of answers, which have some thousand
        series, only those that count something, and what has no labels of its own."""
        start = group.starts[metric.name]
        for (name, labels), values in sorted(self._merged.blocks.items(), key=lambda item: item[0]):
            if name != group.name:
                continue
            of_metric = values[start : start + metric.size].reshape(-1, metric.width)
            for inner, numbers in zip(metric.series(), of_metric, strict=True):
                if numbers.any() or group is not ANSWERS or not metric.axes:
                    yield labels + inner, numbers


def _counted(metric: Metric, labels: Labels, series: Series) -> Family:
    if metric.kind == "counter":
        counter = CounterMetricFamily(metric.name, metric.question, labels=labels)
        for values, numbers in series:
            counter.add_metric(values, float(numbers[0]))
        return counter
    histogram = HistogramMetricFamily(metric.name, metric.question, labels=labels)
    ends = [*map(str, metric.bounds), "+Inf"]
    for values, numbers in series:
        buckets = [*zip(ends, numbers[:-1].cumsum().tolist(), strict=True)]
        histogram.add_metric(values, buckets, float(numbers[-1]))
    return histogram
