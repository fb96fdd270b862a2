#!/usr/bin/env python3
"""WebSockets through Weir over HTTP/1.1 and HTTP/2 on both sides, in all four combinations. The frames, and HTTP/2 with
its extended CONNECT (RFC 8441), are those of Python's wsproto and h2, on the client's side and on the backend's."""

import os
import socket
import threading
import unittest

from h2_client import h2
from harness import PATIENCE_S, Case, config_for, connect, until

try:
    import wsproto.events
    from wsproto.connection import Connection, ConnectionState, ConnectionType
    from wsproto.utilities import generate_accept_token, generate_nonce
except ImportError:
    wsproto = None

if h2:
    import h2.config
    import h2.connection
    import h2.events
    import h2.settings


class Plain:
    """One end of a tunnel over HTTP/1.1."""

    gone = False  # its end is the tunnel's

    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        self.sock.sendall(data)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def receive(self):
        """What comes next; b"" at the end."""
        return self.sock.recv(1 << 16)


class Http2:
    """One end of a tunnel in a stream of HTTP/2."""

    def __init__(self, sock, client):
        self.sock = sock
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self.session = h2.connection.H2Connection(config)
        if not client:
            self.session.local_settings = h2.settings.Settings(
                client=False,
                initial_values={
                    h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
                    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1,
                },
            )
        self.session.initiate_connection()
        self.stream = None
        self.data = b""
        self.status = None
        self.request = None
        self.waiting = False  # the request is to be answered
        self.over = False  # the stream is
        self.gone = False  # the connection is
        self.ready = False
        self.flush()

    def flush(self):
        self.sock.sendall(self.session.data_to_send())

    def read(self):
        data = self.sock.recv(1 << 16)
        if not data:
            self.over = self.gone = True
            return
        for event in self.session.receive_data(data):
            self.on(event)
        self.flush()

    def on(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.stream, self.request = event.stream_id, dict(event.headers)
            self.data, self.over = b"", False
            self.waiting = True
        elif isinstance(event, h2.events.ResponseReceived):
            self.status = dict(event.headers)[":status"]
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.ready = True
        elif isinstance(event, h2.events.DataReceived):
            self.data += event.data
            self.session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
            self.over = True

    def send(self, data):
        while data:
            size = min(
                self.session.local_flow_control_window(self.stream), self.session.max_outbound_frame_size, len(data)
            )
            if size == 0:
                self.read()
                continue
            self.session.send_data(self.stream, data[:size])
            data = data[size:]
            self.flush()

    def end(self):
        self.session.end_stream(self.stream)
        self.flush()

    def receive(self):
        while not self.data and not self.over:
            self.read()
        data, self.data = self.data, b""
        return data


class Echo:
    """A server of WebSockets over HTTP/1.1 or HTTP/2: gives back each message, answers pings and closes. A message
    "close 4001 why" makes it close by itself."""

    def __init__(self, test, http2):
        self.name = "echo"
        self.http2 = http2
        self.closes = []
        self.pongs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.sockets = []
        test.addCleanup(self.stop)
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.listener.close()
        for sock in self.sockets:
            sock.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            if self.http2:
                tunnel = Http2(sock, client=False)
                while self.open_http2(tunnel):
                    self.talk(tunnel)
                return
            tunnel = self.open_http1(sock)
            if tunnel is not None:
                self.talk(tunnel)
        except (OSError, h2.exceptions.ProtocolError):
            pass

    def open_http1(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(1 << 16)
            if not data:
                return None
            head += data
        head, _, behind = head.partition(b"\r\n\r\n")
        if behind or not head.startswith(b"GET "):
            sock.close()
            return None
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, value = line.split(b": ", 1)
            fields[name.lower()] = value
        assert fields[b"upgrade"].lower() == b"websocket"
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + generate_accept_token(fields[b"sec-websocket-key"]) + b"\r\n\r\n"
        )
        return Plain(sock)

    def open_http2(self, tunnel):
        """The next tunnel of the connection; False if there is none."""
        while not tunnel.waiting and not tunnel.gone:
            tunnel.read()
        if tunnel.gone:
            return False
        tunnel.waiting = False
        assert (tunnel.request[":method"], tunnel.request[":protocol"]) == ("CONNECT", "websocket"), tunnel.request
        tunnel.session.send_headers(tunnel.stream, [(":status", "200")])
        tunnel.flush()
        return True

    def talk(self, tunnel):
        frames = Connection(ConnectionType.SERVER)
        message = None
        while frames.state is not ConnectionState.CLOSED:
            data = tunnel.receive()
            frames.receive_data(data or None)
            for event in frames.events():
                if isinstance(event, wsproto.events.Message):
                    message = event.data if message is None else message + event.data
                    if not event.message_finished:
                        continue
                    if isinstance(message, str) and message.startswith("close "):
                        _, code, reason = message.split(" ", 2)
                        tunnel.send(frames.send(wsproto.events.CloseConnection(int(code), reason)))
                    elif isinstance(message, str) and message == "ping me":
                        tunnel.send(frames.send(wsproto.events.Ping(b"from the server")))
                    else:
                        kind = wsproto.events.TextMessage if isinstance(message, str) else wsproto.events.BytesMessage
                        tunnel.send(frames.send(kind(message)))
                    message = None
                elif isinstance(event, wsproto.events.Ping):
                    tunnel.send(frames.send(event.response()))
                elif isinstance(event, wsproto.events.Pong):
                    self.pongs.append(bytes(event.payload))
                elif isinstance(event, wsproto.events.CloseConnection):
                    self.closes.append((event.code, event.reason))
                    if frames.state is ConnectionState.REMOTE_CLOSING:
                        tunnel.send(frames.send(event.response()))
            if not data:
                break
            if tunnel.gone:
                return
        tunnel.end()


@unittest.skipIf(wsproto is None or h2 is None, "python3-wsproto or python3-h2 is not installed")
class Combinations(Case):
    """Each test runs in all four."""

    def each(self):
        for up in (1, 2):
            server = Echo(self, up == 2)
            running = self.weir(config_for(server, cluster={"protocol": f"http{up}"}))
            for down in (1, 2):
                with self.subTest(client=f"http{down}", backend=f"http{up}"):
                    yield server, Client(self, running.port, down == 2)

    def test_messages_of_all_sizes_and_kinds(self):
        for _, client in self.each():
            for size in (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 5 << 20):
                data = os.urandom(size)
                client.say(wsproto.events.BytesMessage(data))
                self.assertEqual(client.message(), data)
            client.say(wsproto.events.TextMessage("täxt ✓"))
            self.assertEqual(client.message(), "täxt ✓")
            client.close()

    def test_fragments_with_pings_in_between(self):
        for _, client in self.each():
            client.say(wsproto.events.TextMessage("one ", message_finished=False))
            client.say(wsproto.events.Ping(b"in between"))
            client.say(wsproto.events.TextMessage("", message_finished=False))
            client.say(wsproto.events.TextMessage("two", message_finished=True))
            self.assertEqual(client.message(), "one two")
            self.assertEqual(client.pongs, [b"in between"])
            client.close()

    def test_bytes_one_by_one(self):
        for _, client in self.each():
            for byte in client.frames.send(wsproto.events.TextMessage("dripping")):
                client.tunnel.send(bytes([byte]))
            self.assertEqual(client.message(), "dripping")
            client.close()

    def test_many_frames_at_once(self):
        for _, client in self.each():
            client.tunnel.send(b"".join(client.frames.send(wsproto.events.TextMessage(str(i))) for i in range(500)))
            self.assertEqual([client.message() for _ in range(500)], [str(i) for i in range(500)])
            client.close()

    def test_pings_of_both_sides(self):
        for server, client in self.each():
            for payload in (b"", b"\x00\xff", b"p" * 125):
                client.say(wsproto.events.Ping(payload))
                client.say(wsproto.events.TextMessage("x"))
                client.message()
                self.assertEqual(client.pongs[-1], payload)
            before = len(server.pongs)
            client.say(wsproto.events.TextMessage("ping me"))
            client.say(wsproto.events.TextMessage("y"))
            client.message()
            client.say(wsproto.events.TextMessage("z"))
            client.message()
            self.assertEqual(server.pongs[before:], [b"from the server"])
            client.close()

    def test_closes_with_their_codes(self):
        for server, client in self.each():
            for code, reason in ((1000, ""), (1001, "going away"), (3000, "a" * 123), (4999, "ünusual")):
                one = Client(self, client.port, client.http2)
                before = len(server.closes)
                self.assertEqual(one.close(code, reason), (code, reason))
                until(lambda: len(server.closes) > before, "the server is told")
                self.assertEqual(server.closes[-1], (code, reason))
                self.assertEqual(one.tunnel.receive(), b"")
            client.say(wsproto.events.TextMessage("close 4001 why not"))
            self.assertEqual(client.until_closed(), (4001, "why not"))
            self.assertEqual(client.tunnel.receive(), b"")

    def test_a_half_close_lets_the_rest_through(self):
        """An end without a word: what was sent before it is answered."""
        for server, client in self.each():
            client.say(wsproto.events.BytesMessage(bytes(1 << 20)))
            client.tunnel.end()
            self.assertEqual(client.message(), bytes(1 << 20))
            self.assertEqual(client.tunnel.receive(), b"")


class Client:
    def __init__(self, test, port, http2):
        self.port = port
        self.http2 = http2
        wire = connect(port)
        test.addCleanup(wire.close)
        self.tunnel = self.open_http2(wire.sock) if http2 else self.open_http1(wire)
        self.frames = Connection(ConnectionType.CLIENT)
        self.messages = []
        self.part = None
        self.pongs = []
        self.closed = None

    def open_http1(self, wire):
        nonce = generate_nonce()
        wire.send(
            b"GET /chat HTTP/1.1\r\nHost: ws.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + nonce + b"\r\n\r\n"
        )
        head = wire.until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 101 "), head
        assert b"sec-websocket-accept: " + generate_accept_token(nonce).lower() + b"\r\n" in head, head
        assert not wire.buffer
        return Plain(wire.sock)

    def open_http2(self, sock):
        tunnel = Http2(sock, client=True)
        while not tunnel.ready:
            tunnel.read()
        assert tunnel.session.remote_settings.enable_connect_protocol == 1
        tunnel.stream = tunnel.session.get_next_available_stream_id()
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "ws.example")]
        fields += [(":path", "/chat"), ("sec-websocket-version", "13")]
        tunnel.session.send_headers(tunnel.stream, fields)
        tunnel.flush()
        while tunnel.status is None:
            tunnel.read()
        assert tunnel.status == "200", tunnel.status
        return tunnel

    def say(self, event):
        self.tunnel.send(self.frames.send(event))

    def read(self):
        data = self.tunnel.receive()
        self.frames.receive_data(data or None)
        for event in self.frames.events():
            if isinstance(event, wsproto.events.Message):
                self.part = event.data if self.part is None else self.part + event.data
                if event.message_finished:
                    self.messages.append(self.part)
                    self.part = None
            elif isinstance(event, wsproto.events.Ping):
                self.say(event.response())
            elif isinstance(event, wsproto.events.Pong):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, wsproto.events.CloseConnection):
                self.closed = (event.code, event.reason)
                if self.frames.state is ConnectionState.REMOTE_CLOSING:
                    self.say(event.response())
        if not data and not self.messages and self.closed is None:
            raise EOFError("the tunnel has ended")

    def message(self):
        while not self.messages:
            self.read()
        return self.messages.pop(0)

    def until_closed(self):
        while self.closed is None:
            self.read()
        return self.closed

    def close(self, code=1000, reason=""):
        self.say(wsproto.events.CloseConnection(code, reason))
        return self.until_closed()


if __name__ == "__main__":
    unittest.main()
