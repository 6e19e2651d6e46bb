"""Monitoring: alerts, dashboard, scaling and runbook name metrics and settings that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.monitoring.metrics import Metrics
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PROVISIONING = DOCKER / "grafana" / "provisioning"
DASHBOARD = json.loads((PROVISIONING / "dashboards" / "earshot.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py"))

FUNCTIONS = {"rate", "increase", "histogram_quantile", "max_over_time", "absent"}
AGGREGATIONS = {"sum", "max", "min"}
WORDS = {"by", "or", "bool"}
NAMES_OF_JOBS = ("earshot_jobs{", "earshot_jobs_audio_seconds{")
RANGED = {"rate", "increase", "max_over_time"}
TOKEN = re.compile(
    r"""\s*(?:(?P<name>[a-zA-Z_:][\w:]*)
    |(?P<selector>\{(?:\w+(?:=~|!~|!=|=)"[^"{}]*",?)*\})
    |(?P<range>\[\d+[smhd]\])
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<operator>==|!=|>=|<=|[-+*/<>])
    |(?P<bracket>[(),]))""",
    re.VERBOSE,
)


def queries() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".+")
    scaled = yaml.safe_load((DOCKER / "kubernetes" / "scaledobject.yaml").read_text("utf-8"))
    for trigger in scaled["spec"]["triggers"]:
        yield trigger["metadata"]["query"]


def tokens(query: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while query[at:].strip():
        token = TOKEN.match(query, at)
        assert token is not None, f"{query!r} cannot be read at {query[at:]!r}"
        found.append((str(token.lastgroup), token[0].strip()))
        at = token.end()
    return found


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Every series' name -> its labels, from what Prometheus is sent."""
    metrics = Metrics()
    metrics.requests.labels(route="/", status="200").inc()
    metrics.refusals.labels(reason="deadline").inc()
    metrics.restarts.labels(kind="device", reason="died").inc()
    metrics.ready.labels(model="en").set(1)
    metrics.loaded.labels(model="en").set(1)
    metrics.answers.labels(route="/").observe(1)
    metrics.stages.labels(stage="decode").observe(1)
    return {
        sample.name: set(sample.labels) | {"instance", "job"}
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("query", [*dict.fromkeys(queries())])
def test_a_query_can_be_read_and_names_what_there_is(
    query: str, series: dict[str, set[str]]
) -> None:
    read = tokens(query)
    depth = 0
    labels: set[str] = set()
    named: set[str] = set()
    for index, (kind, text) in enumerate(read):
        before, after = read[index - 1] if index else ("", ""), [*read, ("", "")][index + 1]
        depth += {"(": 1, ")": -1}.get(text, 0)
        assert depth >= 0
        if kind == "operator":
            assert index and before[0] != "operator" and after[0] in {"name", "number", "bracket"}
        elif kind == "range":  # behind a series, in a function of ranges
            assert before[0] in {"name", "selector"}
            assert RANGED & {text for kind, text in read[max(0, index - 4) : index]}
        elif kind == "name" and text in FUNCTIONS:
            assert after[1] == "("
        elif kind == "name" and text in AGGREGATIONS:
            assert after[1] in {"(", "by"}
        elif kind == "name" and text == "by":
            inside = [text for _, text in read[index + 1 :]]
            labels |= set(inside[1 : inside.index(")")]) - {",", "le"}
        elif kind == "selector":
            assert before[1] == "up" or before[1] in series
            used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", text))
            assert used <= (series[before[1]] if before[1] != "up" else {"job", "instance"})
        elif kind == "name" and (text == "up" or text.startswith("earshot_")):
            named.add(text)
    assert depth == 0
    assert named and named - {"up"} <= set(series)
    known = set().union(*(series.get(name, set()) for name in named))
    assert labels <= known
    names = {text for kind, text in read if kind == "name"}
    assert names <= FUNCTIONS | AGGREGATIONS | WORDS | named | labels | {"le"}


def test_the_queue_that_replicas_share_is_not_counted_once_for_each() -> None:
    shown = re.compile(
        r'(\w+)(?: by \(\w+\))? ?\(earshot_jobs(?:_audio_seconds)?\{[^}]*state="(\w+)"'
    )
    found = [match for query in queries() for match in shown.findall(query)]
    assert sum(query.count(name) for query in queries() for name in NAMES_OF_JOBS) == len(found)
    assert set(found) == {("max", "waiting"), ("sum", "running")}


def test_reasons_that_queries_name_are_codes_of_refusals() -> None:
    reasons = {
        reason
        for query in queries()
        for group in re.findall(r'reason=~?"([^"]*)"', query)
        for reason in group.split("|")
    }
    assert reasons and all(f'"{reason}"' in SOURCE for reason in reasons)


def test_refusals_count_as_the_queries_take_them() -> None:
    """503 before the model is warm: of the health check, and of an upload that is not read."""
    app = create_app(Settings(device="cpu"))
    client = TestClient(app)  # without its life: nothing is loaded
    assert client.get("/health/ready").status_code == 503
    assert client.post("/v1/transcribe", content=b"RIFF").status_code == 503
    text = app.state.metrics.text().decode()
    assert 'earshot_requests_total{route="/health/ready",status="503"} 1.0' in text
    assert 'earshot_requests_total{route="/v1/transcribe",status="503"} 1.0' in text
    assert 'earshot_refusals_total{reason="not_ready"} 1.0' in text  # the check is no refusal
    assert "earshot_batch_limit_seconds 0.0" in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_waits_says_how_bad_it_is_and_where_to_begin(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[1-9]\d*m", rule["for"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/runbook.md" and anchor in anchors()


def test_no_two_alerts_have_one_name_and_prometheus_reads_the_file() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    prometheus = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text("utf-8"))
    assert prometheus["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in prometheus["scrape_configs"]] == ["earshot"]  # of `up`


def test_the_alert_on_the_queue_is_half_of_the_bounds() -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == "EarshotQueueLong")
    settings = Settings()
    numbers = [float(text) for kind, text in tokens(rule["expr"]) if kind == "number"]
    assert numbers == [settings.deadline_s / 2, settings.max_queue_seconds / 2]


def anchors() -> set[str]:
    """Of the runbook's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_runbooks_links_end_somewhere() -> None:
    for target in re.findall(r"\]\(#([^)]+)\)", RUNBOOK):
        assert target in anchors()
    for path in re.findall(r"`((?:docs|docker)/[^`]+)`", RUNBOOK):
        assert (ROOT / path).exists()


def test_what_the_runbook_names_is_there(series: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in series}
    assert set(re.findall(r"\bearshot_\w+", RUNBOOK)) <= families
    settings = {f"EARSHOT_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"EARSHOT_\w+", RUNBOOK)) - {"EARSHOT_"} <= settings
    for line in re.findall(r"log\s+line\s+`([^`]+)`", RUNBOOK, re.IGNORECASE):
        assert line in SOURCE
    for command in re.findall(r"`asr (\w+)", RUNBOOK):
        assert (ROOT / "asr" / "cli" / f"{command}.py").is_file()


def test_the_runbook_knows_every_code_of_a_refusal_for_want_of_room() -> None:
    section = RUNBOOK.split("## Refused with 503")[1].split("\n## ")[0]
    for code in ("deadline", "queue_full", "memory_full", "not_ready", "stopping"):
        assert f"| `{code}` |" in section and f'"{code}"' in SOURCE


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text("utf-8"))
    (source,) = sources["datasources"]
    asked = {"type": source["type"], "uid": source["uid"]}
    (variable,) = DASHBOARD["templating"]["list"]
    assert variable["datasource"] == asked and variable["name"] == "instance"
    for panel in PANELS:
        assert panel["datasource"] == asked
        assert all(target["datasource"] == asked for target in panel["targets"])
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    address = re.match(r"http://(\w+):(\d+)$", source["url"])
    assert address is not None
    assert compose["services"][address[1]]["ports"][0].endswith(f":{address[2]}")


def test_the_dashboard_is_where_grafana_looks() -> None:
    providers = yaml.safe_load((PROVISIONING / "dashboards" / "earshot.yml").read_text("utf-8"))
    (provider,) = providers["providers"]
    grafana = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]["grafana"]
    (volume,) = grafana["volumes"]
    here, there, _ = volume.split(":")
    inside = Path(provider["options"]["path"]).relative_to(there)
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (DOCKER / here / inside / home.relative_to(provider["options"]["path"])).is_file()


def test_the_dashboard_is_one_that_grafana_12_takes_as_it_is() -> None:
    assert DASHBOARD["schemaVersion"] == 41 and DASHBOARD["id"] is None and DASHBOARD["uid"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        place = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & place
        taken |= place
    for panel in PANELS:
        assert panel["type"] in {"timeseries", "stat"} and panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references)


def test_the_dashboard_shows_every_metric(series: dict[str, set[str]]) -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in series}
    families -= {re.sub("_total$", "", name) for name in families if name.endswith("_total")}
    assert [name for name in sorted(families) if name not in shown] == []
