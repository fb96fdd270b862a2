#!/usr/bin/env python3
"""The manifests fit the schemas of Kubernetes, of k6's operator and of kind, and each other. No cluster is needed."""

import copy
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import schemas  # noqa: E402  (the path comes first)

BINARIES = pathlib.Path(os.environ.get("WEIR_BINARIES", schemas.ROOT / "build" / "release"))
KUBERNETES = ("1.30", "1.37")  # the oldest and the newest that the manifests are for
NAMES = ("cpp", "go", "rust", "weir")


def read(name):
    try:
        yaml = schemas.python_package("yaml")
    except schemas.Missing as reason:
        raise unittest.SkipTest(f"no YAML reader: {reason}") from reason
    return [one for one in yaml.safe_load_all((HERE / name).read_text()) if one]


def of_kind(documents, kind):
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def container_of(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


class Schemas(unittest.TestCase):
    def setUp(self):
        self.documents = read("servers.yaml") + read("weir.yaml")

    def test_every_object_is_valid_in_kubernetes(self):
        try:
            validator = schemas.python_package("kubernetes_validate")
        except schemas.Missing as reason:
            self.skipTest(f"the schemas of Kubernetes are not here: {reason}")
        for version in KUBERNETES:
            for document in self.documents:
                with self.subTest(version=version, object=document["metadata"]["name"], kind=document["kind"]):
                    validator.validate(document, version, strict=True)
        broken = copy.deepcopy(of_kind(self.documents, "Deployment")["hash-cpp"])
        container_of(broken)["resource"] = container_of(broken).pop("resources")
        with self.assertRaises(validator.ValidationError):
            validator.validate(broken, KUBERNETES[-1], strict=True)

    def test_every_run_is_valid_for_the_operator(self):
        try:
            jsonschema = schemas.python_package("jsonschema")
            version, schema = schemas.test_run_schema()
        except schemas.Missing as reason:
            self.skipTest(f"the schema of TestRun is not here: {reason}")
        for name in NAMES:
            (document,) = read(f"testruns/{name}.yaml")
            with self.subTest(run=name):
                self.assertEqual(document["apiVersion"], version)
                jsonschema.validate(document, schema)
        document["spec"]["runner"]["environment"] = document["spec"]["runner"].pop("env")
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)

    def test_kind_takes_its_configuration(self):
        try:
            schemas.go_module(schemas.KIND)
        except schemas.Missing as reason:
            self.skipTest(f"kind's types are not here: {reason}")
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "kindcheck")
            built = schemas.run(["go", "build", "-o", program, "."], cwd=HERE / "kindcheck")
            self.assertEqual(built.returncode, 0, built.stderr)
            self.assertEqual(schemas.run([program, HERE / "kind.yaml"]).stderr, "")
            broken = pathlib.Path(folder) / "broken.yaml"
            broken.write_text((HERE / "kind.yaml").read_text().replace("labels:", "label:"))
            self.assertIn("label", schemas.run([program, broken]).stderr)


class Together(unittest.TestCase):
    def setUp(self):
        self.documents = read("servers.yaml") + read("weir.yaml")
        self.deployments = of_kind(self.documents, "Deployment")
        self.services = of_kind(self.documents, "Service")

    def test_the_servers_have_the_same_limits_and_cores_of_their_own(self):
        self.assertEqual(set(self.deployments), {f"hash-{name}" for name in NAMES})
        resources = [container_of(self.deployments[f"hash-{name}"])["resources"] for name in NAMES[:3]]
        self.assertEqual(resources[0], resources[1])
        self.assertEqual(resources[0], resources[2])
        for one in resources:
            self.assertEqual(one["requests"], one["limits"])
            self.assertTrue(one["limits"]["cpu"].isdigit(), "the CPU manager deals out whole cores only")

    def test_every_server_is_probed_and_read_by_prometheus_on_ports_that_it_has(self):
        for name, deployment in self.deployments.items():
            with self.subTest(deployment=name):
                container = container_of(deployment)
                ports = {one["name"]: one["containerPort"] for one in container["ports"]}
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    self.assertIn(container[probe]["httpGet"]["port"], ports)
                template = deployment["spec"]["template"]["metadata"]
                self.assertIn(int(template["annotations"]["prometheus.io/port"]), ports.values())
                # The dashboard tells the servers apart by this label.
                self.assertEqual("hash-" + template["labels"]["server"], name)
                self.assertEqual(template["labels"], deployment["spec"]["selector"]["matchLabels"])
                service = self.services[name]
                self.assertEqual(service["spec"]["selector"], template["labels"])
                self.assertLessEqual({one["targetPort"] for one in service["spec"]["ports"]}, set(ports))

    def test_every_run_asks_a_service_that_is_there(self):
        for name in NAMES:
            (run,) = read(f"testruns/{name}.yaml")
            environment = {one["name"]: one["value"] for one in run["spec"]["runner"]["env"]}
            self.assertEqual(run["metadata"]["name"], f"hash-{name}")
            self.assertEqual(environment["TARGET"], f"http://hash-{name}")
            self.assertIn(f"hash-{name}", self.services)
            self.assertEqual(environment["SERVER"], name)
            self.assertEqual(run["spec"]["script"]["configMap"], {"name": "hash-ramp", "file": "ramp.js"})
            script = (schemas.ROOT / "benchmarks" / "hash" / "ramp.js").read_text()
            for variable in set(environment) - {one for one in environment if one.startswith("K6_")}:
                self.assertIn(f"__ENV.{variable}", script)

    def test_what_k6_writes_prometheus_takes_and_grafana_shows(self):
        (prometheus,) = read("prometheus-values.yaml")
        (grafana,) = read("grafana-values.yaml")
        self.assertIn("web.enable-remote-write-receiver", prometheus["server"]["extraFlags"])
        (run,) = read("testruns/cpp.yaml")
        environment = {one["name"]: one["value"] for one in run["spec"]["runner"]["env"]}
        source = grafana["datasources"]["datasources.yaml"]["datasources"][0]
        self.assertEqual(environment["K6_PROMETHEUS_RW_SERVER_URL"], source["url"] + "/api/v1/write")
        self.assertEqual(grafana["dashboardsConfigMaps"], {"default": "hash-dashboard"})
        shown = (HERE / "dashboard.json").read_text()
        for stat in environment["K6_PROMETHEUS_RW_TREND_STATS"].split(","):
            self.assertIn("k6_http_req_duration_" + stat.replace("(", "").replace(")", ""), shown)

    def test_weir_takes_its_configuration_and_knows_all_three(self):
        text = of_kind(self.documents, "ConfigMap")["weir"]["data"]["weir.yaml"]
        configuration = schemas.python_package("yaml").safe_load(text)
        backends = {one["url"] for one in configuration["clusters"][0]["backends"]}
        self.assertEqual(backends, {f"http://hash-{name}" for name in NAMES[:3]})
        self.assertLessEqual({url.removeprefix("http://") for url in backends}, set(self.services))
        if not (BINARIES / "weir").exists():
            self.skipTest("weir is not built")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([BINARIES / "weir", "check", "-f", file.name], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class SetUp(unittest.TestCase):
    """setup.sh with stand-ins for the programs that it calls: each writes down its arguments and what it is given."""

    STAND_IN = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$LOG"
case "$name $*" in
  *" -f -") cat >>"$LOG.applied"; echo "---" >>"$LOG.applied" ;;
  "kind get clusters") ;;
  *--dry-run=client*) echo "kind: ConfigMap" ;;
esac
"""

    def call(self, *arguments, status=0, without=(), **environment):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name in {"docker", "kind", "kubectl", "helm"} - set(without):
                (folder / name).write_text(self.STAND_IN)
                (folder / name).chmod(0o755)
            for name in ("bash", "sh", "dirname", "basename", "readlink", "sed", "cat", "grep", "env"):
                (folder / name).symlink_to(shutil.which(name))
            done = subprocess.run(
                [HERE / "setup.sh", *arguments], capture_output=True, text=True, timeout=60,
                env={"PATH": str(folder), "LOG": str(folder / "log"), **environment},
            )  # fmt: skip
            self.assertEqual(done.returncode, status, done.stderr)
            self.said = done.stderr
            read_log = lambda path: path.read_text() if path.exists() else ""
            return read_log(folder / "log").splitlines(), read_log(folder / "log.applied")

    def at(self, calls, words):
        return next(number for number, call in enumerate(calls) if words in call)

    def test_kind_gets_a_cluster_images_and_then_the_rest(self):
        calls, applied = self.call("kind", HASH_TAG="t1")
        order = ["kind create cluster", "--target cpp -t weir-hash-cpp:t1", "kind load docker-image", "kubectl apply",
                 "create configmap hash-ramp", "k6-operator", "upgrade --install prometheus",
                 "create configmap hash-dashboard", "upgrade --install grafana", "rollout status"]  # fmt: skip
        self.assertEqual([self.at(calls, one) for one in order], sorted(self.at(calls, one) for one in order))
        for name in NAMES:
            self.assertTrue(any(f"--name weir-hash weir-hash-{name}:t1" in one for one in calls), name)
            self.assertIn(f"image: weir-hash-{name}:t1\n", applied)
        for call in calls:
            for word in call.replace("=", " ").split():
                if word.startswith(str(schemas.ROOT)):
                    self.assertTrue(os.path.exists(word), call)

    def test_another_cluster_takes_images_from_where_they_were_pushed(self):
        calls, applied = self.call("cluster", "example.com/me/")
        self.assertFalse([one for one in calls if one.startswith(("kind", "docker"))])
        self.assertEqual(applied.count("image: example.com/me/weir-hash-"), 4)
        _, applied = self.call("cluster", "")
        self.assertIn("image: weir-hash-cpp:latest", applied)
        calls, _ = self.call("images", "example.com/me")
        self.assertEqual(sum(one.startswith("docker push example.com/me/weir-hash-") for one in calls), 4)

    def test_a_ramp_can_be_made_smaller(self):
        calls, applied = self.call("run", "go", USERS="20", HOLD="1m")
        yaml = schemas.python_package("yaml")
        run = next(yaml.safe_load_all(applied))
        environment = {one["name"]: one["value"] for one in run["spec"]["runner"]["env"]}
        self.assertEqual((environment["USERS"], environment["HOLD"], environment["UP"]), ("20", "1m", "2m"))
        self.assertLess(self.at(calls, "delete testrun hash-go"), self.at(calls, "apply"))
        self.assertIn("finished", calls[self.at(calls, "kubectl wait")])

    def test_what_is_missing_and_what_is_wrong_is_said(self):
        self.call("kind", status=1, without=["helm"])
        self.assertIn("setup: helm is missing", self.said)
        for wrong in ([], ["nonsense"], ["run"], ["run", "java"], ["images"], ["kind", "x"]):
            self.call(*wrong, status=2)
            self.assertIn("usage:", self.said)


if __name__ == "__main__":
    unittest.main()
