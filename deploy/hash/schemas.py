"""Schemas of what stands in the manifests, from the registries of Python's and Go's packages: nothing of them is kept
here. What can't be had raises Missing with a line that says so."""

import copy
import functools
import importlib
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "hash" / "schemas"
VALIDATOR = "kubernetes-validate==1.37.0"  # brings a YAML reader and JSON Schema along
OPERATOR = "github.com/grafana/k6-operator@v0.0.19"
KIND = "sigs.k8s.io/kind@v0.33.0"


class Missing(Exception):
    pass


def remembered(fetch):
    """What could not be had once is not asked for again: without a network each time takes minutes."""

    @functools.cache
    def outcome(name):
        try:
            return fetch(name), None
        except Missing as reason:
            return None, reason

    @functools.wraps(fetch)
    def fetched(name):
        found, reason = outcome(name)
        if reason:
            raise reason
        return found

    return fetched


def run(command, **options):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=180, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error


@remembered
def python_package(name):
    """A module of the validator or of what it needs; installed below build/ if it is not here."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    if not (FOLDER / "kubernetes_validate").exists():
        done = run([sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--target", FOLDER, VALIDATOR])
        if done.returncode != 0:
            raise Missing(f"pip can't install {VALIDATOR}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(f"{VALIDATOR} does not work here: {error}") from error


@remembered
def go_module(module):
    """The folder of a Go module in Go's own cache."""
    if not shutil.which("go"):
        raise Missing(f"no Go here, which would fetch {module}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = run(["go", "mod", "download", "-json", module], cwd=FOLDER)
    told = json.loads(done.stdout) if done.stdout.strip() else {}
    if done.returncode != 0 or "Dir" not in told:
        raise Missing(f"Go can't fetch {module}: {told.get('Error') or done.stderr.strip()}".splitlines()[0])
    return pathlib.Path(told["Dir"])


def strict(schema):
    """The same schema, but fields that it does not name are refused, as a cluster warns of them."""
    schema = copy.deepcopy(schema)

    def close(node):
        if isinstance(node, dict):
            open_to_all = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
            if "properties" in node and not open_to_all:
                node["additionalProperties"] = False
            for one in node.values():
                close(one)
        elif isinstance(node, list):
            for one in node:
                close(one)

    close(schema)
    return schema


def test_run_schema():
    """Of TestRun, from the operator's own definition."""
    path = go_module(OPERATOR) / "config" / "crd" / "bases" / "k6.io_testruns.yaml"
    definition = python_package("yaml").safe_load(path.read_text())
    version = next(one for one in definition["spec"]["versions"] if one["served"] and one["storage"])
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # every object's own, which a CRD does not repeat
    return f"{definition['spec']['group']}/{version['name']}", schema
