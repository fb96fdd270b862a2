"""PROXY headers as a backend reads them, by the specification of the protocol (version 2.3)."""

import ipaddress

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2_header(source=None, destination=None, source_port=0, destination_port=0, extensions=b""):
    """Of version 2; LOCAL without addresses."""
    if source is None:
        return V2_SIGNATURE + b"\x20\x00" + len(extensions).to_bytes(2, "big") + extensions
    ends = [ipaddress.ip_address(end) for end in (source, destination)]
    family = b"\x11" if ends[0].version == 4 else b"\x21"
    body = ends[0].packed + ends[1].packed + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    body += extensions
    return V2_SIGNATURE + b"\x21" + family + len(body).to_bytes(2, "big") + body


def read_header(wire):
    """The header at the beginning of a connection as (version, source, port, destination, port), with None for the
    addresses where it names nobody. ValueError for anything else."""
    start = wire.exactly(12)
    if start == V2_SIGNATURE:
        command, family, *length = wire.exactly(4)
        body = wire.exactly(int.from_bytes(length, "big"))
        if command == 0x20:
            return (2, None, None, None, None)
        size = {0x11: 4, 0x21: 16}.get(family)
        if command != 0x21 or size is None or len(body) < 2 * size + 4:
            raise ValueError("not a header of version 2 for TCP")
        source, destination = (str(ipaddress.ip_address(body[i : i + size])) for i in (0, size))
        ports = [int.from_bytes(body[i : i + 2], "big") for i in (2 * size, 2 * size + 2)]
        return (2, source, ports[0], destination, ports[1])
    line = start
    while not line.endswith(b"\r\n"):
        if len(line) >= 107:
            raise ValueError("the line is too long")
        line += wire.exactly(1)
    words = line[:-2].decode("ascii").split(" ")
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return (1, None, None, None, None)
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("not a header")
    return (1, words[2], int(words[4]), words[3], int(words[5]))


def serves_behind_proxy(headers, name="backend"):
    """For Backend(raw=...): reads a header first, notes it in `headers`, and answers requests with it."""
    from harness import ok

    def serve(wire):
        header = read_header(wire)
        headers.append(header)
        while wire.request() is not None:
            wire.send(ok(" ".join(str(part) for part in header)))

    return serve
