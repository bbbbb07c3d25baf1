"""A release of the chart, handled as a user does: with ``helm`` and ``kubectl``, and through the webserver.

Its namespace, its volumes and their folder on the node are its own, so that nothing else of the cluster is touched.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.webserver import Webserver, wait_for

CHART = REPOSITORY / "deploy" / "helm" / "opengenome"
NAME = "trial-opengenome"
SERVICES = "app.kubernetes.io/component in (webserver,daemon,code,search,metrics)"
# Sizes of values-small.yaml, and the users of the two images.
VOLUMES = {"home": ("ReadWriteMany", "20Gi", 1000), "database": ("ReadWriteOnce", "1Gi", 999)}


def command(*arguments: str, ok: bool = True, timeout: float = 300, text: str | None = None) -> str:
    """Run a command in the repository's folder and return what it printed; it has to succeed unless told."""
    answer = subprocess.run(arguments, cwd=REPOSITORY, input=text, capture_output=True, text=True, timeout=timeout)
    said = f"{answer.stdout}\n{answer.stderr}"
    assert not ok or answer.returncode == 0, f"{' '.join(arguments)}: {answer.returncode}\n{said}"
    return answer.stdout


@dataclass(frozen=True)
class Release(Webserver):
    """A release ``trial``.

    Attributes
    ----------
    namespace
        Its namespace, which is also the name of its folder on the node and of its storage classes.
    image
        Repository and tag of the image; another tag is an upgrade.
    values
        Further values, as ``name=value``.
    preset
        File of the chart with the values to begin with.
    """

    namespace: str
    image: str
    values: Sequence[str] = ()
    preset: str = "values-small.yaml"
    _forwards: dict[str, tuple["subprocess.Popen[str]", str]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Folder of the volumes on the node."""
        return f"/var/tmp/{self.namespace}"

    def kubectl(self, *arguments: str, ok: bool = True, timeout: float = 300, text: str | None = None) -> str:
        """Run ``kubectl`` in the namespace."""
        return command("kubectl", "--namespace", self.namespace, *arguments, ok=ok, timeout=timeout, text=text)

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects of a kind that there are."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "--output", "json", *arguments))["items"]
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make some objects."""
        self.kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(objects))

    # The release.

    def install(self, *, image: str | None = None) -> None:
        """Install or upgrade, and wait until every pod is ready."""
        repository, tag = (image or self.image).split(":")
        made = [
            f"image.repository={repository}",
            f"image.tag={tag}",
            "image.pullPolicy=Never",
            "postgresql.image.pullPolicy=Never",
            f"home.volume.storageClass={self.namespace}-home",
            f"postgresql.storage.storageClass={self.namespace}-database",
            *self.values,
        ]
        sets = [part for value in made for part in ("--set", value)]
        try:
            command("helm", "upgrade", "--install", "trial", str(CHART), "--namespace", self.namespace, "--values",
                    str(CHART / self.preset), *sets, "--wait", "--timeout", "15m", timeout=1000)  # fmt: skip
        except AssertionError:
            print(self.kubectl("get", "pods,events", ok=False))
            for pod in self.get("pods"):
                print(self.kubectl("logs", "--tail", "30", pod["metadata"]["name"], ok=False))
            raise
        self.stop_forwarding()  # to pods that are replaced

    def uninstall(self) -> None:
        """Remove the release, and wait until its pods are gone."""
        command("helm", "uninstall", "trial", "--namespace", self.namespace, "--wait", "--timeout", "5m", timeout=400)
        wait_for(lambda: not self.pods(SERVICES), "end of the pods", 120, every=2)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods with some labels."""
        return self.get("pods", "--selector", selector)

    def executors(self) -> list[str]:
        """Return the names of the executors' pods that run."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods("app.kubernetes.io/component=executor")
            if pod["status"]["phase"] == "Running"
        ]

    def kill(self, *pods: str) -> None:
        """Take pods away without a chance to end, as the loss of their node does."""
        self.kubectl("delete", "pod", *pods, "--grace-period", "0", "--force", "--wait=false")

    def execute(self, component: str, *arguments: str, ok: bool = True, timeout: float = 300) -> str:
        """Run a command in a pod of a service."""
        return self.kubectl("exec", f"deployment/{NAME}-{component}", "--", *arguments, ok=ok, timeout=timeout)

    # What it serves.

    def forward(self, component: str, port: int) -> str:
        """Return an address of this machine that leads to a service, also after its pod was replaced."""
        process, address = self._forwards.get(component, (None, ""))
        if process is None or process.poll() is not None:
            process = subprocess.Popen(
                ["kubectl", "--namespace", self.namespace, "port-forward", f"service/{NAME}-{component}", f":{port}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if found is None:
                raise ConnectionError(line)
            address = f"http://{found[0]}"
            self._forwards[component] = process, address
        return address

    def address(self) -> str:
        """Return where the webserver answers."""
        return self.forward("webserver", 3000)

    def stop_forwarding(self) -> None:
        """End the processes that lead to services."""
        while self._forwards:
            _, (process, _) = self._forwards.popitem()
            process.terminate()
            process.wait(30)

    # The home.

    def fetch_tables(self, folder: Path) -> Home:
        """Copy the tables out of the volume into a new home."""
        folder.mkdir(parents=True)
        pod = f"deployment/{NAME}-webserver"
        reading = subprocess.Popen(
            ["kubectl", "--namespace", self.namespace, "exec", pod, "--", "tar", "-C", "/data", "-c", "tables"],
            stdout=subprocess.PIPE,
        )
        subprocess.run(["tar", "-C", folder, "-x"], stdin=reading.stdout, check=True, timeout=300)
        assert reading.wait(30) == 0
        return Home(str(folder))

    def send(self, folder: Path, target: str) -> None:
        """Copy a folder's files into a new folder of the volume."""
        packing = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        unpack = ["sh", "-c", f"mkdir -p {target} && tar -C {target} -x"]
        subprocess.run(
            ["kubectl", "--namespace", self.namespace, "exec", "-i", f"deployment/{NAME}-webserver", "--", *unpack],
            stdin=packing.stdout,
            check=True,
            timeout=300,
        )
        assert packing.wait(30) == 0

    def parts(self, table: str) -> int:
        """Return how many parts of a table are finished, of all the versions that there were."""
        found = self.execute("webserver", "find", f"/data/tables/{table}", "-name", "_manifest.json", ok=False)
        return len(found.splitlines())

    def wait_for_parts(self, table: str, number: int, seconds: int = 400) -> None:
        """Wait until a table has this many finished parts; the pod looks, since each command takes a while to start."""
        look = f"find /data/tables/{table} -name _manifest.json 2>/dev/null | wc -l"
        loop = f"until [ $({look}) -ge {number} ]; do sleep 0.05; done"
        self.execute("webserver", "timeout", str(seconds), "sh", "-c", loop, timeout=seconds + 60)


def volumes(release: Release) -> Iterator[dict[str, Any]]:
    """Yield the volumes that a provisioner would make: folders of the node."""
    for name, (mode, size, _) in VOLUMES.items():
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{release.namespace}-{name}"},
            "spec": {
                "accessModes": [mode],
                "capacity": {"storage": size},
                "storageClassName": f"{release.namespace}-{name}",
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": f"{release.folder}/{name}", "type": "DirectoryOrCreate"},
            },
        }


def on_the_node(release: Release, script: Sequence[str]) -> None:
    """Run lines of a shell as root on the node, with the parent of the volumes' folder at /node."""
    overrides = {
        "spec": {
            "volumes": [{"name": "node", "hostPath": {"path": "/var/tmp"}}],
            "containers": [
                {
                    "name": "node",
                    "image": release.image,
                    "imagePullPolicy": "Never",
                    "command": ["sh", "-ec", "\n".join(script)],
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [{"name": "node", "mountPath": "/node"}],
                }
            ],
        }
    }
    release.kubectl("run", "node", "--image", release.image, "--restart", "Never", "--overrides", json.dumps(overrides))

    def ended() -> str:
        phase: str = json.loads(release.kubectl("get", "pod", "node", "--output", "json"))["status"]["phase"]
        return phase if phase in {"Succeeded", "Failed"} else ""

    assert wait_for(ended, "end of the pod", 120) == "Succeeded", release.kubectl("logs", "node")
    release.kubectl("delete", "pod", "node", "--grace-period", "0", "--force")


@contextmanager
def released(release: Release, before: Callable[[Release], None] = lambda _: None) -> Iterator[Release]:
    """Install the chart into a new namespace; at the end, remove everything, also the data.

    Parameters
    ----------
    release
        The release.
    before
        Makes what the chart expects in the namespace, such as Secrets.
    """
    namespace, folder = release.namespace, f"/node/{release.namespace}"
    command("kubectl", "create", "namespace", namespace)
    try:
        on_the_node(
            release,
            [f"install -d -m 750 -o {owner} -g {owner} {folder}/{name}" for name, (*_, owner) in VOLUMES.items()],
        )
        release.apply(*volumes(release))
        before(release)
        release.install()
        yield release
    finally:
        release.stop_forwarding()
        command("helm", "uninstall", "trial", "--namespace", namespace, "--ignore-not-found", ok=False)
        release.kubectl("delete", "jobs,pods", "--all", "--grace-period", "0", "--force", ok=False)
        on_the_node(release, [f"rm -rf {folder}"])
        command("kubectl", "delete", "namespace", namespace, "--wait", "--timeout", "120s", ok=False)
        command("kubectl", "delete", "pv", *(f"{namespace}-{name}" for name in VOLUMES), ok=False)


def missing() -> str:
    """Return what these tests lack; empty if nothing."""
    for program in ("docker", "helm", "kubectl"):
        if subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True).returncode:
            return f"{program} is not installed"
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG is not set: these tests take a cluster by name only, so that none is taken by accident"
    answer = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True)
    return "" if answer.returncode == 0 else f"the cluster of KUBECONFIG does not answer: {answer.stderr}"
