"""Deployment: manifests match their schemas, and the things that they name exist."""

import configparser
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from asr import cache
from service.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
KUBERNETES = DOCKER / "kubernetes"
EXPOSED = DOCKER / "kubernetes-exposed"
VERSIONS = ("1.29", "1.31", "1.33")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def container() -> dict[str, Any]:
    pod = read(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    return {"pod": pod, **only}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "path",
    [
        *(KUBERNETES / f"{name}.yaml" for name in ("deployment", "service", "poddisruptionbudget")),
        *(EXPOSED / f"{name}.yaml" for name in ("ingress", "networkpolicy")),
    ],
    ids=lambda path: path.stem,
)
def test_a_manifest_fits_kubernetes_own_schema(path: Path, version: str) -> None:
    kubernetes_validate.validate(read(path), version, strict=True)


def test_the_scaled_object_fits_kedas_schema_and_scales_the_deployment() -> None:
    schema = json.loads((Path(__file__).parent / "scaledobject.schema.json").read_text("utf-8"))
    scaled = read(KUBERNETES / "scaledobject.yaml")
    jsonschema.validate(scaled, schema)
    deployment = read(KUBERNETES / "deployment.yaml")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # else each `apply` would undo the scaling


@pytest.mark.parametrize("folder", [KUBERNETES, EXPOSED], ids=lambda path: path.name)
def test_kustomize_names_every_manifest(folder: Path) -> None:
    whole = read(folder / "kustomization.yaml")
    named = {*whole["resources"], *(patch["path"] for patch in whole.get("patches", ()))}
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert named - {"../kubernetes"} == files


def test_what_is_exposed_belongs_to_the_deployment() -> None:
    labels = read(KUBERNETES / "deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    service = read(KUBERNETES / "service.yaml")
    policy = read(EXPOSED / "networkpolicy.yaml")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    (opened,) = policy["ingress"][0]["ports"]
    assert opened["port"] == container()["ports"][0]["name"]
    monitor = read(EXPOSED / "servicemonitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    keys = read(EXPOSED / "keys.yaml")
    assert keys["metadata"]["name"] == read(KUBERNETES / "deployment.yaml")["metadata"]["name"]
    (box,) = keys["spec"]["template"]["spec"]["containers"]
    assert box["name"] == container()["name"]
    assert box["env"][0]["value"].startswith(f"{box['volumeMounts'][0]['mountPath']}/")


def test_the_ingress_lets_through_what_the_service_takes_and_no_more_doors() -> None:
    ingress, settings = read(EXPOSED / "ingress.yaml"), Settings()
    notes = {
        name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()
    }
    assert int(notes["proxy-body-size"].removesuffix("m")) * 2**20 > settings.max_upload_bytes
    longest = settings.drain_s + settings.drain_per_second * settings.max_seconds
    for waiting in ("proxy-read-timeout", "proxy-send-timeout"):
        assert float(notes[waiting]) > max(longest, settings.live_idle_s)
    (rule,) = ingress["spec"]["rules"]
    doors = {(way["path"], way["pathType"]) for way in rule["http"]["paths"]}
    assert doors == {("/v1", "Prefix"), ("/", "Exact")}
    for way in rule["http"]["paths"]:
        backend = way["backend"]["service"]
        assert backend["name"] == read(KUBERNETES / "service.yaml")["metadata"]["name"]
        assert backend["port"]["name"] == "http"


def test_selectors_ports_and_probes_agree() -> None:
    labels = read(KUBERNETES / "deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert read(KUBERNETES / "service.yaml")["spec"]["selector"].items() <= labels.items()
    budget = read(KUBERNETES / "poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"]
    assert budget.items() <= labels.items()
    box = container()
    (port,) = box["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert box[probe]["httpGet"]["port"] == port["name"]
        assert box[probe]["httpGet"]["path"].startswith("/health/")


def test_the_pod_keeps_its_service_from_setting_the_services_variables() -> None:
    assert container()["pod"]["enableServiceLinks"] is False


def test_nothing_runs_as_root_or_writes_to_its_image() -> None:
    box = container()
    assert box["securityContext"]["readOnlyRootFilesystem"] is True
    assert box["pod"]["securityContext"]["runAsNonRoot"] is True
    assert {"name": "scratch", "mountPath": "/tmp"} in box["volumeMounts"]
    compose = read(DOCKER / "compose.yaml")["services"]
    for name in ("cpu", "gpu"):
        assert compose[name]["read_only"] is True and "/tmp" in compose[name]["tmpfs"]


def test_everything_waits_longer_than_the_service_drains() -> None:
    settings = Settings()
    drain_s = settings.drain_s + settings.drain_per_second * settings.max_seconds
    ends_within = drain_s + 2  # the answers that say so have to go out
    box = container()
    _, before = box["lifecycle"]["preStop"]["exec"]["command"]  # sleep, seconds
    assert box["pod"]["terminationGracePeriodSeconds"] > float(before) + ends_within
    compose = read(DOCKER / "compose.yaml")["services"]["cpu"]
    assert float(compose["stop_grace_period"].removesuffix("s")) > ends_within
    assert float(unit()["TimeoutStopSec"]) > ends_within


def unit() -> configparser.SectionProxy:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(DOCKER / "systemd" / "earshot.service", encoding="utf-8")
    return parsed["Service"]


def test_the_unit_lets_the_service_be_what_it_is() -> None:
    """Sockets to its workers, a descriptor for each recording, and workers that may be killed."""
    assert unit()["ExecStart"].endswith("/asr serve")
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(unit()["RestrictAddressFamilies"].split())
    assert int(unit()["LimitNOFILE"]) >= 65_536
    assert unit()["OOMPolicy"] == "continue"  # else one worker's end would stop them all
    assert unit()["KillMode"] == "mixed"


def test_variables_that_files_here_set_are_settings() -> None:
    known = {f"EARSHOT_{name.upper()}" for name in Settings.model_fields} | {cache.SETTING}
    for path in DOCKER.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            named = set(re.findall(r"EARSHOT_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))
            assert named <= known, path


def test_a_pod_decodes_on_the_cores_that_it_asks_for() -> None:
    box = container()
    given = {entry["name"]: entry["value"] for entry in box["env"]}
    settings = Settings(decode_workers=int(given["EARSHOT_DECODE_WORKERS"]))
    assert settings.decode_workers == int(box["resources"]["requests"]["cpu"])


def test_a_pod_may_hold_what_the_bounds_let_in() -> None:
    settings, box = Settings(), container()
    decoders = int(box["resources"]["requests"]["cpu"])
    seconds = settings.max_queue_seconds + decoders * settings.max_seconds
    samples = seconds * 16_000 * 4
    model = 4 * 2**30  # CUDA's libraries in the host's memory are the most of it
    most = 2 * settings.max_held_bytes + samples + decoders * 70e6 + model
    assert most < int(box["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30


def test_ports_of_compose_answer_this_machine_only() -> None:
    for service in read(DOCKER / "compose.yaml")["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
