"""The Kubernetes manifests: valid by schema, and what no schema knows: names that match, walls, no root, no secrets.

The overlays want `kubectl` on the PATH; without it the base is read file by file, and the overlays are skipped.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

K8S = Path(__file__).parents[2] / "deploy" / "k8s"
COMPONENTS = ("dask", "mtls")
OVERLAYS = ("local", "production", "production with every component")
VERSIONS = ("1.31", "1.33", "1.37")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
Object = dict[str, Any]


@cache
def rendered(name: str) -> tuple[Object, ...]:
    """Every object of an overlay, or of the base without kustomize."""
    if name == "base":
        files = [K8S / "base" / it for it in yaml.safe_load((K8S / "base/kustomization.yaml").read_text())["resources"]]
        text = "\n---\n".join(file.read_text() for file in files)
    elif shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH")
    else:
        overlay, _, extended = name.partition(" ")
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(K8S, Path(folder, "k8s"))
            if extended:
                with (copy / "overlays" / overlay / "kustomization.yaml").open("a") as file:
                    file.write(yaml.safe_dump({"components": [f"../../components/{it}" for it in COMPONENTS]}))
            command = ["kubectl", "kustomize", str(copy / "overlays" / overlay)]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(it for it in yaml.safe_load_all(text) if it)


@pytest.fixture(params=("base", *OVERLAYS))
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(request.param)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    return [it for it in objects if it["kind"] in kinds]


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object, Object]]:
    """(name, labels, pod spec) of every workload."""
    for it in of_kind(objects, *WORKLOADS):
        template = it["spec"]["template"]
        yield it["metadata"]["name"], template["metadata"]["labels"], template["spec"]


def containers(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    for name, _, spec in pods(objects):
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield f"{name}/{container['name']}", container


def selects(selector: Object, labels: Object) -> bool:
    assert set(selector) <= {"matchLabels"}, "these tests read matchLabels only"
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_by_the_schema_of_kubernetes(objects: tuple[Object, ...], version: str):
    for it in objects:
        kubernetes_validate.validate(it, version, strict=True)


def test_the_namespace_enforces_the_restricted_standard_and_every_pod_meets_it(objects: tuple[Object, ...]):
    [namespace] = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, _, spec in pods(objects):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all({"emptyDir", "projected", "persistentVolumeClaim"} & set(it) for it in spec.get("volumes", [])), name
    for name, container in containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False and security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]} and not security.get("privileged"), name


def test_no_pod_gets_a_token_of_the_cluster(objects: tuple[Object, ...]):
    accounts = {it["metadata"]["name"]: it for it in of_kind(objects, "ServiceAccount")}
    for name, _, spec in pods(objects):
        assert spec["automountServiceAccountToken"] is False, name
        assert accounts[spec["serviceAccountName"]]["automountServiceAccountToken"] is False, name


def test_every_container_states_what_it_needs_and_may_use(objects: tuple[Object, ...]):
    for name, container in containers(objects):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"]), name


def test_every_service_is_probed_at_a_port_it_has(objects: tuple[Object, ...]):
    for it in of_kind(objects, "Deployment", "StatefulSet"):
        for container in it["spec"]["template"]["spec"]["containers"]:
            ports = {port["containerPort"] for port in container["ports"]} | {it["name"] for it in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                how = container[probe]
                port = next((how[kind].get("port") for kind in ("grpc", "httpGet", "tcpSocket") if kind in how), None)
                assert port in ports or "exec" in how, (container["name"], probe)


def test_services_budgets_autoscalers_and_ingresses_name_what_exists(objects: tuple[Object, ...]):
    workloads = {(it["kind"], it["metadata"]["name"]) for it in of_kind(objects, *WORKLOADS)}
    for it in of_kind(objects, "HorizontalPodAutoscaler"):
        target = it["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in workloads
        assert it["spec"]["minReplicas"] <= it["spec"]["maxReplicas"]
    for it in of_kind(objects, "PodDisruptionBudget"):
        assert [name for name, labels, _ in pods(objects) if selects(it["spec"]["selector"], labels)], it["metadata"]
    services = {it["metadata"]["name"]: it["spec"] for it in of_kind(objects, "Service")}
    for name, service in services.items():
        chosen = [
            (who, spec) for who, labels, spec in pods(objects) if selects({"matchLabels": service["selector"]}, labels)
        ]
        assert [who for who, _ in chosen] == [name], "a service stands for exactly the workload of its name"
        named = {port["name"] for container in chosen[0][1]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= named
    for it in of_kind(objects, "Ingress"):
        assert it["spec"]["tls"], "no ingress without TLS"
        for path in (path for rule in it["spec"]["rules"] for path in rule["http"]["paths"]):
            backend = path["backend"]["service"]
            assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["ports"]}


def test_every_pod_has_a_network_policy_of_its_own_over_a_default_deny(objects: tuple[Object, ...]):
    policies = {it["metadata"]["name"]: it["spec"] for it in of_kind(objects, "NetworkPolicy")}
    deny = policies["default-deny"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, labels, _ in pods(objects):
        own = policies[name]
        assert selects(own["podSelector"], labels), name
        assert own["policyTypes"] == ["Ingress", "Egress"], name
        assert all(rule.get("from") and rule.get("ports") for rule in own.get("ingress", [])), name
        assert all(rule.get("to") and rule.get("ports") for rule in own.get("egress", [])), name


def test_what_one_service_may_call_another_lets_in(objects: tuple[Object, ...]):
    policies = {it["metadata"]["name"]: it["spec"] for it in of_kind(objects, "NetworkPolicy")}
    labels = {name: labels for name, labels, _ in pods(objects)}
    for caller, policy in policies.items():
        for rule in policy.get("egress", []):
            for selector in (it["podSelector"] for it in rule["to"] if "podSelector" in it):
                for called in (name for name, found in labels.items() if selects(selector, found)):
                    doors = [
                        port["port"]
                        for door in policies[called]["ingress"]
                        if any(
                            selects(it.get("podSelector", {"matchLabels": {"": ""}}), labels[caller])
                            for it in door["from"]
                        )
                        for port in door["ports"]
                    ]
                    assert {port["port"] for port in rule["ports"]} <= set(doors), (caller, called)


def test_no_secret_stands_in_the_manifests(objects: tuple[Object, ...]):
    assert not of_kind(objects, "Secret"), "secrets are made by hand or by an operator, see docs/deploy.md"
    words = ("password", "token", "secret", "api_key", "master_key")
    values = [
        (it["name"], it.get("value", "")) for _, container in containers(objects) for it in container.get("env", [])
    ]
    values += [pair for config in of_kind(objects, "ConfigMap") for pair in config.get("data", {}).items()]
    for name, value in values:
        assert not any(word in name.lower() for word in words) or value.startswith("/run/secrets/"), name
        assert "://" not in value or "@" not in value, f"{name} holds a login"


@pytest.mark.parametrize("overlay", OVERLAYS[1:])
def test_production_runs_more_than_one_of_each_spread_out_and_scales_executors_on_the_queue(overlay: str):
    objects = rendered(overlay)
    autoscalers = {it["metadata"]["name"]: it["spec"] for it in of_kind(objects, "HorizontalPodAutoscaler")}
    assert all(it["minReplicas"] >= 2 for it in autoscalers.values())
    external = [
        it["external"]["metric"]["name"] for it in autoscalers["executor"]["metrics"] if it["type"] == "External"
    ]
    assert external == ["dipeo_store_work_ready"]  # dipeo.store.work.ready, as Prometheus spells it
    for it in of_kind(objects, "Deployment"):
        assert "replicas" not in it["spec"], "the autoscaler decides"
        template = it["spec"]["template"]
        spread = template["spec"]["topologySpreadConstraints"]
        assert all(selects(rule["labelSelector"], template["metadata"]["labels"]) for rule in spread)
        assert it["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    images = {container["image"] for _, container in containers(objects)}
    assert not [image for image in images if image.endswith((":dev", ":latest"))]


def test_the_components_reach_every_service_they_are_for():
    objects = rendered(OVERLAYS[-1])
    [config] = [it["data"] for it in of_kind(objects, "ConfigMap")]
    specs = {name: spec for name, _, spec in pods(objects)}
    for name in ("store", "executor", "gateway", "mcp"):
        mounted = {it["mountPath"] for it in specs[name]["containers"][0]["volumeMounts"]}
        files = [config[f"DIPEO_GRPC_{which}_FILE"] for which in ("CA", "CERT", "KEY")]
        assert all(str(Path(file).parent) in mounted for file in files), name
        probes = [specs[name]["containers"][0][kind] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
        assert not [probe for probe in probes if "grpc" in probe], "the kubelet shows no certificate"
    [scheduler] = [it for it in of_kind(objects, "Service") if it["metadata"]["name"] == "dask-scheduler"]
    assert config["DIPEO_COMPUTE"] == f"dask://dask-scheduler:{scheduler['spec']['ports'][0]['port']}"
    worker, executor = specs["dask-worker"], specs["executor"]
    assert worker["containers"][0]["image"] == executor["containers"][0]["image"]
    assert not [it for it in worker["volumes"] if "projected" in it or "secret" in it], "code gets no secret of ours"


def test_images_deny_user_code_the_network_unless_told_otherwise(objects: tuple[Object, ...]):
    """Decision 13: what the Dockerfile sets is not undone by a manifest."""
    dockerfile = (K8S.parent / "Dockerfile").read_text()
    assert "DIPEO_EXECUTOR_CODE_NETWORK=deny DIPEO_EXECUTOR_ALLOW_PRIVATE_NETWORK=false" in dockerfile
    told = {name for config in of_kind(objects, "ConfigMap") for name in config["data"]}
    told |= {it["name"] for _, container in containers(objects) for it in container.get("env", [])}
    assert not told & {"DIPEO_EXECUTOR_CODE_NETWORK", "DIPEO_EXECUTOR_ALLOW_PRIVATE_NETWORK"}
