"""What the kernel tells of this machine and of processes: cores, stolen time, processor time, memory."""

import os
import pathlib
import platform
import re
import resource
import socket

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cores():
    return sorted(os.sched_getaffinity(0))


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def first(pattern, text, default=""):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else default


def describe():
    """What a report says about the machine; no names of hosts or users."""
    cpuinfo = read("/proc/cpuinfo")
    return {
        "processor": first(r"^model name\s*:\s*(.+)$", cpuinfo) or platform.machine(),
        "architecture": platform.machine(),
        "cores": len(cores()),
        "memory_mib": int(first(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"), "0")) // 1024,
        "kernel": platform.release(),
        "system": first(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), platform.system()),
        "hypervisor": "yes" if re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.M) else "none seen",
        "descriptors_hard_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "load_at_start": round(os.getloadavg()[0], 2),
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control").strip(),
    }


def available_mib():
    """Memory that can be had without pushing anything out."""
    return int(first(r"^MemAvailable:\s+(\d+)", read("/proc/meminfo"), "0")) // 1024


def stolen_seconds():
    """Time that the hypervisor gave to others, over all cores."""
    fields = read("/proc/stat").split("\n", 1)[0].split()
    return int(fields[8]) / TICKS_PER_S if len(fields) > 8 else 0.0


class Idle:
    """How much of all cores' time nobody used since this was made."""

    def __init__(self):
        self.before = self.now()

    def now(self):
        """(idle, total) in ticks."""
        fields = [int(one) for one in read("/proc/stat").split("\n", 1)[0].split()[1:9]]
        return (fields[3] + fields[4], sum(fields)) if len(fields) == 8 else (0, 0)

    def share(self):
        idle, total = (after - before for after, before in zip(self.now(), self.before))
        return idle / total if total else 0.0


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on; empty if it is gone."""
    text = read(f"/proc/{pid}/stat")
    return text.rsplit(")", 1)[1].split() if ")" in text else []


def group_members(group):
    """The live processes of a process group."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(name)
            if len(fields) > 2 and int(fields[2]) == group and fields[0] not in "ZX":
                members.append(int(name))
    return members


class Processor:
    """Processor time that a process group has used. schedstat counts in nanoseconds; where it is missing, ticks do."""

    def __init__(self, group):
        self.total_s = self.user_s = self.system_s = 0.0
        for pid in group_members(group):
            fields = stat_fields(pid)
            if len(fields) < 13:
                continue
            user, system = int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S
            self.user_s += user
            self.system_s += system
            self.total_s += exact_seconds(pid) or user + system


def exact_seconds(pid):
    """Sum over the threads that live; one that ended takes its share with it, and proxies keep theirs."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
    except (OSError, IndexError, ValueError):
        return 0.0
    return total / 1e9


def resident_kib(group):
    return sum(int(first(r"^VmRSS:\s+(\d+)", read(f"/proc/{pid}/status"), "0")) for pid in group_members(group))


def established_on(port):
    """Connections that a server on this port has open now."""
    wanted = f":{port:04X}"
    count = 0
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in read(table).split("\n")[1:]:
            fields = line.split()
            count += len(fields) > 3 and fields[3] == "01" and fields[1].endswith(wanted)
    return count


def connections_to(group, ports):
    """Connections that a process group has open to any of these ports on this machine."""
    sockets = set()
    for pid in group_members(group):
        try:
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                try:
                    sockets.add(os.readlink(descriptor.path))
                except OSError:
                    pass  # closed meanwhile
        except OSError:
            pass
    wanted = tuple(f":{port:04X}" for port in ports)
    count = 0
    for line in read("/proc/self/net/tcp").split("\n")[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "01" and fields[2].endswith(wanted):
            count += f"socket:[{fields[9]}]" in sockets
    return count


def listens(port):
    wanted = f":{port:04X}"
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in read(table).split("\n")[1:]:
            fields = line.split()
            if len(fields) > 3 and fields[3] == "0A" and fields[1].endswith(wanted):
                return True
    return False


def answers(port, timeout_s=1.0):
    try:
        socket.create_connection(("127.0.0.1", port), timeout_s).close()
        return True
    except OSError:
        return False


def raise_descriptor_limit():
    """To the hard limit, for all that is started from here; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
