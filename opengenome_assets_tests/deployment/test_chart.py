"""The Helm chart: what it renders is valid for several versions of Kubernetes, for Dagster and for Spark."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config

from opengenome_assets_tests.processes import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "opengenome"
PRESETS = ("values.yaml", "values-small.yaml", "values-team.yaml")
VERSIONS = ("1.28", "1.33", "1.37")
OPERATORS = "monitoring.coreos.com/"  # its kinds are none of Kubernetes' own

# Kinds whose names all namespaces share.
OF_THE_CLUSTER = (
    "ClusterRole",
    "ClusterRoleBinding",
    "IngressClass",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
)

Document = dict[str, Any]
Render = Callable[..., list[Document]]


@pytest.fixture(scope="module")
def render(tool: Callable[[str], str]) -> Render:
    """Render the chart with a preset and further values."""
    helm = tool("helm")

    def rendered(preset: str = "values.yaml", *values: str, namespace: str = "genomics") -> list[Document]:
        command = [helm, "template", "trial", str(CHART), "--namespace", namespace, "--values", str(CHART / preset)]
        for value in values:
            command += ["--set", value]
        answer = subprocess.run(command, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        return [document for document in yaml.safe_load_all(answer.stdout) if document]

    return rendered


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def config_of(documents: list[Document], name: str, file: str) -> Any:
    text = of_kind(documents, "ConfigMap")[f"trial-opengenome-{name}"]["data"][file]
    return yaml.safe_load(text) if file.endswith(".yaml") else dict(line.split(" ", 1) for line in text.splitlines()
        if line and not line.startswith("#"))  # fmt: skip


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Yield the pods of services, of a run, and of an executor, as their specifications."""
    for kind in ("Deployment", "StatefulSet"):
        for name, document in of_kind(documents, kind).items():
            yield name, document["spec"]["template"]["spec"]
    yield "executor", config_of(documents, "spark", "executor.yaml")["spec"]


def test_lint_finds_nothing(tool: Callable[[str], str]) -> None:
    command = [tool("helm"), "lint", "--strict", str(CHART)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("preset", "version"), [*zip(PRESETS, VERSIONS, strict=True), ("values-team.yaml", VERSIONS[0])]
)
def test_every_object_is_valid_for_the_api(render: Render, preset: str, version: str) -> None:
    import kubernetes_validate

    documents = render(preset)
    judged = [each for each in documents if not each["apiVersion"].startswith(OPERATORS)]
    judged.append({**config_of(documents, "spark", "executor.yaml"), "metadata": {"name": "executor"}})
    for document in judged:
        kubernetes_validate.validate(document, version, strict=True)
    assert len(judged) > 15


@pytest.mark.parametrize("preset", PRESETS)
def test_dagster_accepts_the_launcher_s_settings(render: Render, preset: str) -> None:
    from dagster_k8s import K8sRunLauncher

    instance = config_of(render(preset), "instance", "dagster.yaml")
    judged = process_config(K8sRunLauncher.config_type(), instance["run_launcher"]["config"])
    assert judged.success, judged.errors
    environment = instance["run_launcher"]["config"]["run_k8s_config"]["container_config"]["env"]
    assert {"name": "SPARK_LOCAL_HOSTNAME", "value_from": {"field_ref": {"field_path": "status.podIP"}}} in environment


@pytest.mark.parametrize("preset", PRESETS)
def test_no_pod_is_root_or_can_become_it_and_each_is_limited(render: Render, preset: str) -> None:
    seen = dict(pods(render(preset)))
    assert {"trial-opengenome-webserver", "trial-opengenome-search", "executor"} <= seen.keys()
    for name, pod in seen.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 999, name
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            if name != "executor":  # Spark sets those of its executors
                assert container["resources"].keys() == {"requests", "limits"}, name


def test_pods_that_need_no_api_have_no_key_to_it(render: Render) -> None:
    keys = {name.rpartition("-")[2]: pod["automountServiceAccountToken"] for name, pod in pods(render())}
    assert keys == {
        "code": False, "webserver": True, "daemon": True, "search": False, "metrics": False, "postgresql": False,
        "executor": False,
    }  # fmt: skip


def test_services_that_need_the_database_wait_for_it(render: Render) -> None:
    documents = render("values-team.yaml")
    waiting = {
        name.rpartition("-")[2]
        for name, pod in pods(documents)
        for each in pod.get("initContainers", [])
        if "/dev/tcp/DATABASE.example.org/5432)" in each["command"][-1]
    }
    assert waiting == {"code", "webserver", "daemon", "metrics"}


def test_each_service_leads_to_pods_with_the_port_it_names(render: Render) -> None:
    documents = render()
    workloads = [*of_kind(documents, "Deployment").values(), *of_kind(documents, "StatefulSet").values()]
    for name, service in of_kind(documents, "Service").items():
        wanted = service["spec"]["selector"].items()
        (found,) = [each for each in workloads if wanted <= each["spec"]["template"]["metadata"]["labels"].items()]
        (container,) = found["spec"]["template"]["spec"]["containers"]
        named = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named, name


def test_probes_ask_what_the_health_checks_of_compose_ask(render: Render) -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    checks = [service["healthcheck"]["test"][1:] for service in services.values() if "healthcheck" in service]
    for name, deployment in of_kind(render(), "Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe"):
            command = container[probe]["exec"]["command"]
            assert command[-1] == name.rpartition("-")[2]
            assert command in checks
        assert "livenessProbe" in container


@pytest.mark.parametrize("preset", PRESETS)
def test_a_probe_that_starts_a_process_has_half_a_minute(render: Render, preset: str) -> None:
    # On a busy node a process starts late: a database that seems gone costs the runs.
    for name, pod in pods(render(preset)):
        for container in pod["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "exec" in (asked := container.get(probe, {})):
                    assert asked["timeoutSeconds"] >= 30, (name, probe)


def test_the_server_of_jobs_can_write_jobs_tokens_and_its_audit_log(render: Render) -> None:
    documents = render("values.yaml", "search.tokenSecretName=search")
    pod = dict(pods(documents))["trial-opengenome-search"]
    (container,) = pod["containers"]
    (home,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == "/data"]
    assert not home.get("readOnly")
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == home["name"]]
    assert volume["persistentVolumeClaim"] == {"claimName": "trial-opengenome"}
    assert of_kind(documents, "PersistentVolumeClaim")["trial-opengenome"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_an_issuer_of_tokens_is_a_setting(render: Render) -> None:
    settings = {"OPENGENOME_SEARCH_ISSUER": "https://accounts.example", "OPENGENOME_SEARCH_AUDIENCE": "genomes"}
    documents = render("values.yaml", *(f"settings.{name}={value}" for name, value in settings.items()))
    assert settings.items() <= of_kind(documents, "ConfigMap")["trial-opengenome-settings"]["data"].items()


def test_objects_that_pods_name_are_made(render: Render) -> None:
    documents = render()
    made = {(each["kind"], each["metadata"]["name"]) for each in documents}
    text = json.dumps(documents) + json.dumps(config_of(documents, "instance", "dagster.yaml"))
    for kind, pattern in {
        "ConfigMap": r'"configMap(?:Ref)?": \{"name": "([^"]+)"',
        "Secret": r'"secretKeyRef": \{"name": "([^"]+)"',
        "PersistentVolumeClaim": r'"claimName": "([^"]+)"',
        "ServiceAccount": r'"service_?[aA]ccount_?[nN]ame": "([^"]+)"',
    }.items():
        named = {(kind, name) for name in re.findall(pattern, text)}
        assert named, kind
        assert named <= made


def test_releases_of_two_namespaces_share_no_object_of_the_cluster(render: Render) -> None:
    made = []
    for namespace in ("genomics", "genomics-trial"):
        documents = render("values-team.yaml", namespace=namespace)
        classes = set(of_kind(documents, "PriorityClass"))
        launcher = config_of(documents, "instance", "dagster.yaml")["run_launcher"]["config"]["run_k8s_config"]
        named = {name: pod["priorityClassName"] for name, pod in pods(documents)}
        named["run"] = launcher["pod_spec_config"]["priority_class_name"]
        assert set(named.values()) == classes
        assert named["run"] != named["executor"] != named["trial-opengenome-daemon"]
        made.append({(kind, name) for kind in OF_THE_CLUSTER for name in of_kind(documents, kind)})
    assert all(made)
    assert made[0].isdisjoint(made[1])


def test_another_priority_is_another_class(render: Render) -> None:
    # The API refuses another value for a class that exists.
    for value in (500, 20_000_000):
        classes = of_kind(render("values-team.yaml", f"priorityClasses.runs={value}"), "PriorityClass")
        assert classes[f"genomics.trial-opengenome-runs-{value}"]["value"] == value


def test_uninstalling_leaves_data_and_password(render: Render) -> None:
    documents = render()
    kept = {
        document["kind"]
        for document in documents
        if document["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == {"PersistentVolumeClaim", "Secret"}


def test_a_team_has_its_own_database_and_a_search_that_grows(render: Render) -> None:
    documents = render("values-team.yaml")
    assert of_kind(documents, "StatefulSet") == {}
    assert of_kind(documents, "Secret") == {}
    assert "replicas" not in of_kind(documents, "Deployment")["trial-opengenome-search"]["spec"]
    assert of_kind(documents, "HorizontalPodAutoscaler").keys() == {"trial-opengenome-search"}
    assert of_kind(documents, "Ingress").keys() == {"trial-opengenome-search", "trial-opengenome-webserver"}
    assert len(of_kind(documents, "PriorityClass")) == 3
    spark = config_of(documents, "spark", "spark-defaults.conf")
    assert spark["spark.dynamicAllocation.enabled"] == "true"
    assert "spark.executor.instances" not in spark
    assert spark["spark.authenticate"] == "true"
    settings = of_kind(documents, "ConfigMap")["trial-opengenome-settings"]["data"]
    assert settings["OPENGENOME_HOME"] == "s3://BUCKET/opengenome"


def test_secrets_of_messages_reach_the_exporter_alone(render: Render) -> None:
    import kubernetes_validate

    values = ("metrics.smtpSecretName=mail", "metrics.webhookSecretName=chat")
    deployments = of_kind(render("values.yaml", *values), "Deployment")
    exporter = deployments.pop("trial-opengenome-metrics")
    kubernetes_validate.validate(exporter, VERSIONS[-1], strict=True)
    (container,) = exporter["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each for each in container["env"]}
    reference = variables["OPENGENOME_WEBHOOK_URL"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "chat", "key": "webhook_url"}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    held = {
        f"{mounts[volume['name']]}/{item['path']}": volume["secret"]["secretName"]
        for volume in exporter["spec"]["template"]["spec"]["volumes"]
        for item in volume.get("secret", {}).get("items", [])
    }
    named = {field: variables[f"OPENGENOME_{field}_PATH"]["value"] for field in ("SMTP_PASSWORD", "WEBHOOK_SECRET")}
    assert held == {named["SMTP_PASSWORD"]: "mail", named["WEBHOOK_SECRET"]: "chat"}
    for word in ("smtp", "webhook"):
        assert word not in json.dumps(deployments)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("spark.executors=two", "spark/executors"),
        ("home.uri=gs:/x", "home/uri"),
        ("dagsterWebserver.replicas=2", "replicas"),
        ("image.pullPolicy=Sometimes", "image/pullPolicy"),
        ("postgresql.enabled=false", "postgresql.postgresqlHost: the address of your database"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tool: Callable[[str], str], value: str, expected: str) -> None:
    command = [tool("helm"), "template", "trial", str(CHART), "--set", value]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode != 0
    assert expected in answer.stderr


def test_every_value_is_in_the_schema_and_has_a_meaning() -> None:
    def leaves(schema: Document, value: Any, name: str) -> Iterator[str]:
        if "description" in schema:
            assert schema["description"], name
            yield name
            return
        assert schema["properties"].keys() == value.keys(), name
        for key, inner in schema["properties"].items():
            yield from leaves(inner, value[key], f"{name}.{key}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    names = list(leaves(schema, yaml.safe_load((CHART / "values.yaml").read_text()), ""))
    assert len(names) > 60


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"', Path(REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["version"] == chart["appVersion"] == version[1]
