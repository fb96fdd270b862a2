"""Tests that need a network of their own: the name server's port 53, the fixed ports of start.sh. Such a test runs in a
child of this program inside private network and mount namespaces (unshare), and the child's result is the test's."""

import functools
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

INSIDE = "WEIR_TEST_NAMESPACE"


def unshare_command():
    command = ["unshare", "--net", "--mount", "--fork", "--kill-child"]
    return command if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", *command[1:]]


def prepare_namespace():
    """Brings the loopback up and makes 127.0.0.1 the name server."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(control, 0x8914, request)  # SIOCSIFFLAGS
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as resolv:
        resolv.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", resolv.name, os.path.realpath("/etc/resolv.conf")], check=True)
    os.unlink(resolv.name)


@functools.lru_cache(maxsize=None)
def why_no_namespace():
    """Empty, or why this machine does not let us have one (a container without the right to)."""
    try:
        done = subprocess.run([*unshare_command(), "true"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip()


def are_free(ports):
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
    return True


def in_namespace(test=None, *, ports=()):
    """Runs a test method in namespaces of its own. Where there can be none, it runs here if all of its `ports` are
    free, and is skipped otherwise."""
    if test is None:
        return functools.partial(in_namespace, ports=ports)

    @functools.wraps(test)
    def outside(self):
        if os.environ.get(INSIDE):
            return test(self)
        if why_no_namespace():
            if ports and are_free(ports):
                return test(self)
            self.skipTest(f"needs namespaces of its own: {why_no_namespace()}")
        module = sys.modules[type(self).__module__]
        name = f"{pathlib.Path(module.__file__).stem}.{type(self).__qualname__}.{self._testMethodName}"
        done = subprocess.run(
            [*unshare_command(), sys.executable, __file__, name],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, INSIDE: "1"},
        )
        self.assertEqual(done.returncode, 0, f"in its namespace:\n{done.stdout}{done.stderr}")

    return outside


class DnsServer:
    """Answers A and AAAA questions on 127.0.0.1:53 from `addresses`; a name that is not there does not exist."""

    def __init__(self, test, addresses):
        self.addresses = addresses
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        test.addCleanup(self.socket.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                packet, client = self.socket.recvfrom(2048)
            except OSError:
                return
            self.socket.sendto(self.answer(packet), client)

    def answer(self, packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        question = packet[12 : at + 5]
        kind = struct.unpack("!H", packet[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        self.questions.append((name, kind))
        known = self.addresses.get(name)
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        found = [socket.inet_pton(family, one) for one in known or [] if (":" in one) == (kind == 28)] if family else []
        head = packet[:2] + struct.pack("!HHHHH", 0x8180 | (3 if known is None else 0), 1, len(found), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(data)) + data for data in found)
        return head + question + records


if __name__ == "__main__":
    import unittest

    prepare_namespace()
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromName(sys.argv[1]))
    sys.exit(0 if result.wasSuccessful() and result.testsRun == 1 else 1)
