#!/usr/bin/env python3
"""The images can be built: the steps of the Dockerfile are run here, without a container, and what they copy is started
as the image would start it. What the final images install must cover what the programs load."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "benchmarks")]

import schemas  # noqa: E402  (the path comes first)
from lab import machine, network, processes  # noqa: E402

ROOT = schemas.ROOT
IN_EVERY_IMAGE = {"libc6", "libgcc-s1"}
TOOLS = {"build-go": "go", "build-rust": "cargo"}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def stages():
    """{name: (base, [(instruction, text)])} of the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", (HERE / "Dockerfile").read_text(), flags=re.M))
    found = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, _, name = rest.split()
            found[name] = (base, [])
        else:
            found[name][1].append((word, rest))
    return found


STAGES = stages()


def lines(stage, word):
    return [text for found, text in STAGES[stage][1] if found == word]


def words(stage, word):
    """The only list of an ENTRYPOINT or CMD."""
    (text,) = lines(stage, word)
    return re.findall(r'"([^"]*)"', text)


def installed(stage):
    """Debian packages that the image has besides its base."""
    return {
        word
        for text in lines(stage, "RUN")
        for part in re.findall(r"apt-get install ([^&]+)", text)
        for word in shlex.split(part)
        if not word.startswith("-")
    }


def needed(program):
    """Debian packages of the libraries that a program loads."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "not found" not in told, told
    packages = set()
    for path in re.findall(r"=> (/\S+)", told):
        owners = subprocess.run(["dpkg", "-S", f"*/{os.path.basename(path)}"], capture_output=True, text=True).stdout
        for line in owners.splitlines():
            package, file = line.split(": ", 1)
            # A package may have it as /lib/… although that is /usr/lib/… by now.
            if os.path.realpath(os.path.dirname(file)) == os.path.realpath(os.path.dirname(path)):
                packages.add(package.split(":")[0])
    return packages


class Images(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.image = pathlib.Path(folder.name) / "image"
        self.keeper = processes.Keeper(folder.name)
        self.addCleanup(self.keeper.close)
        self.ports = network.Ports(14_000 + os.getpid() % 2_000)

    def build(self, stage):
        """Runs a build stage's steps in the tree, which is what it copies."""
        tool = TOOLS.get(stage)
        if tool and not shutil.which(tool):
            self.skipTest(f"no {tool} here: the image is not tried")
        if tool == "cargo":
            fetched = subprocess.run(
                ["cargo", "fetch", "--locked"], cwd=ROOT / "benchmarks/hash/rust", capture_output=True, timeout=120
            )
            if fetched.returncode != 0:
                self.skipTest("the crates can't be fetched here: the image is not tried")
        self.assertEqual(lines(stage, "COPY"), [". ."])
        for step in lines(stage, "RUN"):
            done = subprocess.run(
                ["bash", "-c", step], cwd=ROOT, capture_output=True, text=True, timeout=550,
                env={**os.environ, "CARGO_NET_OFFLINE": "true"} if tool == "cargo" else None,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr[-2000:])

    def fill(self, stage):
        """What the final stage copies, to its place below self.image; the program that it starts."""
        for text in lines(stage, "COPY"):
            origin, source, target = text.split()
            self.build(origin.removeprefix("--from="))
            place = self.image / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / pathlib.PurePath(source).relative_to("/src"), place)
        program = self.image / words(stage, "ENTRYPOINT")[0].lstrip("/")
        self.assertTrue(os.access(program, os.X_OK), program)
        if shutil.which("dpkg"):
            self.assertLessEqual(needed(program), installed(stage) | IN_EVERY_IMAGE)
        return program

    def answers(self, program, arguments, url, port):
        process = self.keeper.start("image", ["env", "-i", program, *arguments])
        deadline = time.monotonic() + 30
        while not machine.listens(port):
            self.assertTrue(process.alive() and time.monotonic() < deadline, process.last_words())
            time.sleep(0.02)
        with OPENER.open(url, timeout=10) as answer:
            self.assertEqual(answer.status, 200)
            return answer.read().decode()

    def check_server(self, name):
        program = self.fill(name)
        port = self.ports.take()
        arguments = [word.replace("0.0.0.0:8080", f"127.0.0.1:{port}") for word in words(name, "CMD")]
        self.assertIn(f"127.0.0.1:{port}", arguments)
        told = self.answers(program, arguments, f"http://127.0.0.1:{port}/hash", port)
        self.assertIn(f'"source":"{name}"', told)

    def test_cpp(self):
        self.check_server("cpp")

    def test_go(self):
        self.check_server("go")

    def test_rust(self):
        self.check_server("rust")

    def test_weir_with_the_configuration_of_its_manifest(self):
        program = self.fill("weir")
        try:
            yaml = schemas.python_package("yaml")
        except schemas.Missing as reason:
            self.skipTest(f"no YAML reader: {reason}")
        (text,) = (
            one["data"]["weir.yaml"]
            for one in yaml.safe_load_all((HERE / "weir.yaml").read_text())
            if one["kind"] == "ConfigMap"
        )
        port, admin = self.ports.take(), self.ports.take()
        text = text.replace("0.0.0.0:8080", f"127.0.0.1:{port}").replace("0.0.0.0:9090", f"127.0.0.1:{admin}")
        # Names of a cluster are not looked up here.
        text = re.sub(r"http://hash-\w+", f"http://127.0.0.1:{self.ports.take()}", text, count=3)
        path = self.image / "etc/weir/weir.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        arguments = [str(path) if word == "/etc/weir/weir.yaml" else word for word in words("weir", "CMD")]
        self.assertIn(str(path), arguments)
        self.answers(program, arguments, f"http://127.0.0.1:{admin}/livez", admin)

    def test_images_run_without_rights_on_the_ports_of_the_manifests(self):
        for name in ("cpp", "go", "rust", "weir"):
            self.assertEqual(lines(name, "USER"), ["65534:65534"])
            self.assertIn("8080", lines(name, "EXPOSE")[0].split())


if __name__ == "__main__":
    unittest.main()
