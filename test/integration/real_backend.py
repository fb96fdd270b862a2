"""The fixture of tests by programs that others wrote."""

import contextlib
import subprocess

from harness import WEIR_BACKEND, Case, config_for, connect, fetch, free_port, until


class Programs:
    """For cases: servers that are programs."""

    def start_program(self, *command, port):
        """Runs it until the test's end. Returns once it listens."""
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.terminate()
            process.wait(10)

        self.addCleanup(end)

        def up():
            with contextlib.suppress(OSError):
                connect(port).close()
                return True
            return False

        until(up, f"{command[0]} is up")
        return port

    def weir_backend(self, protocol="http2"):
        port = free_port()
        command = [WEIR_BACKEND, "--listen", f"127.0.0.1:{port}", "--name", "real", "--protocol", protocol]
        return self.start_program(*command, port=port)

    def nghttpd(self, *options, pair=None):
        """Over TLS with a `pair` of key and certificate."""
        port = free_port()
        secure = [str(port), pair["key"], pair["cert"]] if pair else ["--no-tls", str(port)]
        return self.start_program("nghttpd", "-a", "127.0.0.1", *options, *secure, port=port)


class RealBackend(Case):
    """Weir before weir-backend."""

    @classmethod
    def setUpClass(cls):
        cls.backend_port = free_port()
        cls.process = subprocess.Popen(
            [WEIR_BACKEND, "--listen", f"127.0.0.1:{cls.backend_port}", "--name", "real"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.addClassCleanup(cls.end)

        def up():
            try:
                return fetch(cls.backend_port, "/health").status == 200
            except OSError:
                return False

        until(up, "weir-backend is up")

    @classmethod
    def end(cls):
        cls.process.terminate()
        cls.process.wait(10)

    def setUp(self):
        real = {"name": "real", "url": f"http://127.0.0.1:{self.backend_port}"}
        self.running = self.weir(config_for(real, workers=2))
        self.url = f"http://127.0.0.1:{self.running.port}"
        self.scratch = self.folder()

    def call(self, *command, stdin=None, timeout_s=60, code=0):
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=timeout_s, input=stdin)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stdout

    def write(self, name, data):
        (self.scratch / name).write_bytes(data)
        return self.scratch / name
