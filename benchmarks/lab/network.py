"""A network namespace of the lab's own where the kernel allows one; free ports on loopback otherwise."""

import ctypes
import fcntl
import os
import pathlib
import socket
import struct

from . import machine

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SETTINGS = {
    "net/ipv4/ip_local_port_range": "20000 60999",
    "net/core/somaxconn": "16384",
    "net/ipv4/tcp_max_syn_backlog": "16384",
}


def enter_namespace():
    """Moves this process into a namespace with nothing but a loopback. Empty, or why that was not to be. Must be called
    while the process has one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return os.strerror(ctypes.get_errno())
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
    for name, value in SETTINGS.items():
        try:
            pathlib.Path("/proc/sys", name).write_text(value)
        except OSError:
            pass  # not ours to set in a user's namespace
    return ""


class Ports:
    """Hands out ports that nobody listens on, below those that the kernel gives to clients."""

    def __init__(self, first=10000):
        self.next = first

    def take(self):
        while True:
            self.next += 1
            if self.next >= 20000:
                self.next = 10001
            if not machine.listens(self.next):
                return self.next
