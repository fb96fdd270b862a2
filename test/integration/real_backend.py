"""The fixture of tests by programs that others wrote."""

import subprocess

from harness import WEIR_BACKEND, Case, config_for, fetch, free_port, until


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
