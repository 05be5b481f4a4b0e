"""The dashboard, the page of metrics and the services name the same ones; Prometheus and Grafana find their files."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

from dipeo_kit import semconv

ROOT = Path(__file__).parents[2]
OTEL = ROOT / "deploy" / "otel"
NAMES = {value for name, value in vars(semconv).items() if name.isupper()}
# Every instrument of every service used once; what Prometheus is then shown, and what they are called over OTLP.
MEASURED = """
import json
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
shown, told = CollectorRegistry(), InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([PrometheusMetricReader(registry=shown), told]))
from dipeo_executor import observed as executor
from dipeo_gateway import observed as gateway
from dipeo_kit import http_spans, rpc
from dipeo_store import observed as store
KINDS = {metrics.Counter: "add", metrics.Histogram: "record", metrics._Gauge: "set"}
for module in executor, gateway, http_spans, rpc, store:
    for instrument in vars(module).values():
        for kind, verb in KINDS.items():
            if isinstance(instrument, kind):
                getattr(instrument, verb)(1)
scopes = (scope for it in told.get_metrics_data().resource_metrics for scope in it.scope_metrics)
names = [metric.name for scope in scopes for metric in scope.metrics]
series = [line.split("{")[0].split(" ")[0] for line in generate_latest(shown).decode().splitlines() if line[0] != "#"]
print(json.dumps([names, series]))
"""


@cache
def measured() -> tuple[frozenset[str], frozenset[str]]:
    """(names over OTLP, names of series in Prometheus)"""
    told = subprocess.run([sys.executable, "-c", MEASURED], check=True, capture_output=True, text=True).stdout
    names, series = json.loads(told)
    return frozenset(names), frozenset(series)


def documented() -> set[str]:
    table = (ROOT / "docs/telemetry.md").read_text().partition("## Metrics")[2]
    return set(re.findall(r"^\| `([a-z._]+)` \|", table, re.MULTILINE))


def expressions() -> list[str]:
    panels = json.loads((OTEL / "grafana/dipeo.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_what_is_measured_is_in_the_one_list_and_on_the_page_and_nothing_else():
    names, _ = measured()
    assert names <= NAMES
    assert documented() == names


def test_the_dashboard_shows_every_metric_and_names_none_that_nobody_measures():
    _, series = measured()
    selected = (re.sub(r"by \([^)]*\)", "", expr) for expr in expressions())
    used = {name for expr in selected for name in re.findall(r"\b(?:dipeo|rpc|http)_\w+", expr)}
    assert used <= series

    def base(name: str) -> str:
        return re.sub(r"_(bucket|count|sum|total|created)$", "", name)

    assert {base(name) for name in used} == {base(name) for name in series if base(name) != "target_info"}


def test_the_dashboard_groups_by_attributes_of_ours():
    known = {name.replace(".", "_") for name in NAMES} | {"le", "service_name"}
    groups = [group for expr in expressions() for group in re.findall(r"by \(([^)]*)\)", expr)]
    assert {label.strip() for group in groups for label in group.split(",")} <= known


def test_panels_do_not_lie_on_each_other_and_read_the_provisioned_source():
    [source, _] = yaml.safe_load((OTEL / "grafana/datasources.yaml").read_text())["datasources"]
    panels = json.loads((OTEL / "grafana/dipeo.json").read_text())["panels"]
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {source["uid"]}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places) and len({panel["id"] for panel in panels}) == len(panels)


def test_autoscaling_and_scraping_use_names_that_exist():
    _, series = measured()
    queue = (ROOT / "deploy/k8s/overlays/production/executors-on-queue.yaml").read_text()
    assert set(re.findall(r"name: (dipeo_\w+)", queue)) <= series
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    [job] = yaml.safe_load((OTEL / "prometheus.yaml").read_text())["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    exporter = yaml.safe_load((OTEL / "collector.yaml").read_text())["exporters"]["prometheus"]["endpoint"]
    host, _, port = target.partition(":")
    assert host in services and port == exporter.rpartition(":")[2]


def test_images_of_others_are_pinned_and_their_files_are_there():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in compose["services"].items():
        image = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", service["image"])
        tag = image.partition(":")[2]
        assert tag and (tag == "dev" or tag[0].isdigit() or tag[0] == "v"), (name, image)
        for mount in (it for it in service.get("volumes", []) if it.startswith("./")):
            assert (ROOT / mount.split(":")[0]).is_file(), (name, mount)
