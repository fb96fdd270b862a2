#!/usr/bin/env python3
"""WebSockets by a client and a server that others wrote, through Weir."""

import asyncio
import base64
import hashlib
import http
import os
import socket
import threading
import unittest

try:
    import websockets
except ImportError:
    websockets = None

from harness import PATIENCE_S, Case, config_for, until


class Server:
    """A WebSocket server in a thread of its own. `serve(connection)` is a coroutine."""

    def __init__(self, test, serve, **options):
        self.name = "ws"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.closes = []

        async def noting(connection, path=None):
            try:
                await serve(connection)
            except websockets.ConnectionClosed:
                pass
            finally:
                await connection.wait_closed()
                self.closes.append((connection.close_code, connection.close_reason))

        async def begin():
            return await websockets.serve(
                noting, "127.0.0.1", 0, max_size=None, ping_interval=None, **options
            )

        self.server = self.run(begin())
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        test.addCleanup(self.stop)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self):
        async def end():
            self.server.close()
            await self.server.wait_closed()

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@unittest.skipIf(websockets is None, "python3-websockets is not installed")
class WebSocket(Case):
    def start(self, serve=echo, server=None, **parts):
        self.server = Server(self, serve, **(server or {}))
        # It closes what does not begin as HTTP/1.1, which the probe then has found.
        self.running = self.weir(config_for(self.server, **parts))

    def connect_ws(self, path="/", **options):
        options = {"max_size": None, "ping_interval": None, "open_timeout": PATIENCE_S, **options}
        return websockets.connect(f"ws://127.0.0.1:{self.running.port}{path}", **options)

    def go(self, talk, **options):
        async def connected():
            async with self.connect_ws(**options) as connection:
                return await talk(connection)

        return asyncio.run(asyncio.wait_for(connected(), 60))

    def test_messages_of_all_sizes_and_kinds(self):
        self.start()

        async def talk(connection):
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20):
                data = os.urandom(size)
                await connection.send(data)
                self.assertEqual(await connection.recv(), data)
            await connection.send("täxt ✓")
            self.assertEqual(await connection.recv(), "täxt ✓")

        self.go(talk)

    def test_both_talk_at_once(self):
        async def both(connection):
            async def say():
                for i in range(200):
                    await connection.send(f"server {i}")

            saying = asyncio.ensure_future(say())
            got = [await connection.recv() for _ in range(200)]
            await saying
            await connection.send(f"got {len(got)} up to {got[-1]}")

        self.start(both)

        async def talk(connection):
            async def say():
                for i in range(200):
                    await connection.send(f"client {i}")

            saying = asyncio.ensure_future(say())
            got = [await connection.recv() for _ in range(200)]
            await saying
            self.assertEqual(got, [f"server {i}" for i in range(200)])
            self.assertEqual(await connection.recv(), "got 200 up to client 199")

        self.go(talk)

    def test_pings_and_pongs_both_ways(self):
        async def pings(connection):
            waiter = await connection.ping(b"from the server")
            await waiter
            await connection.send("ponged")
            await connection.wait_closed()

        self.start(pings)

        async def talk(connection):
            self.assertEqual(await connection.recv(), "ponged")
            await (await connection.ping(b"from the client"))
            await (await connection.ping(b""))

        self.go(talk)

    def test_fragments(self):
        self.start()

        async def talk(connection):
            await connection.send([b"one ", b"two ", b"", b"three"])
            self.assertEqual(await connection.recv(), b"one two three")
            await connection.send(["a" * 70_000, "b" * 70_000])
            self.assertEqual(await connection.recv(), "a" * 70_000 + "b" * 70_000)

        self.go(talk)

    def test_the_client_closes(self):
        self.start()
        for code, reason in ((1000, ""), (1001, "going away"), (4321, "ünusual")):

            async def talk(connection):
                await connection.close(code, reason)
                self.assertEqual(connection.close_code, code)

            self.go(talk)
            until(lambda: (code, reason) in self.server.closes, "the server was told")

    def test_the_server_closes(self):
        async def close(connection):
            await connection.close(4000 + int(await connection.recv()), "bye")

        self.start(close)

        async def talk(connection):
            await connection.send("7")
            with self.assertRaises(websockets.ConnectionClosed):
                await connection.recv()
            self.assertEqual((connection.close_code, connection.close_reason), (4007, "bye"))

        self.go(talk)

    def test_a_client_that_vanishes(self):
        self.start()

        async def talk(connection):
            await connection.send("x")
            await connection.recv()
            connection.transport.abort()

        self.go(talk)
        until(lambda: self.server.closes, "the server sees the end")
        self.assertEqual(self.server.closes[0][0], 1006)

    def test_subprotocols_and_fields_pass(self):
        seen = {}

        async def note(connection):
            seen.update(connection.request_headers.raw_items())
            await connection.send(connection.subprotocol or "")

        self.start(note, server={"subprotocols": ["b", "c"]})

        async def talk(connection):
            self.assertEqual(connection.subprotocol, "b")
            self.assertEqual(await connection.recv(), "b")

        self.go(talk, path="/chat?room=1", subprotocols=["a", "b"], extra_headers={"X-Mine": "1", "Origin": "http://o"})
        fields = {name.lower(): value for name, value in seen.items()}
        self.assertEqual((fields["x-mine"], fields["origin"]), ("1", "http://o"))
        self.assertEqual(fields["x-forwarded-for"], "127.0.0.1")

    def test_compression_is_theirs(self):
        self.start(server={"compression": "deflate"})

        async def talk(connection):
            self.assertIn("permessage-deflate", connection.response_headers["Sec-WebSocket-Extensions"])
            await connection.send("compress me " * 10_000)
            self.assertEqual(await connection.recv(), "compress me " * 10_000)

        self.go(talk, compression="deflate")

    def test_a_refusal_passes(self):
        async def refuse(path, headers):
            return http.HTTPStatus.FORBIDDEN, [("X-Why", "no")], b"not you\n"

        self.start(server={"process_request": refuse})
        with self.assertRaises(websockets.InvalidStatusCode) as raised:
            self.go(None)
        self.assertEqual(raised.exception.status_code, 403)
        self.assertEqual(raised.exception.headers["X-Why"], "no")

    def test_a_silent_tunnel_ends(self):
        self.start(listener={"limits": {"tunnel_idle_timeout": "300ms", "idle_timeout": "100ms"}})

        async def talk(connection):
            for _ in range(5):  # longer than idle_timeout, which is not a tunnel's
                await asyncio.sleep(0.15)
                await connection.send("still here")
                await connection.recv()
            with self.assertRaises(websockets.ConnectionClosed):
                await asyncio.wait_for(connection.recv(), 15)
            self.assertEqual(connection.close_code, 1006)

        self.go(talk)

    def test_pings_keep_it_open(self):
        self.start(listener={"limits": {"tunnel_idle_timeout": "500ms"}})

        async def talk(connection):
            for _ in range(8):
                await asyncio.sleep(0.15)
                await (await connection.ping())
            await connection.send("x")
            self.assertEqual(await connection.recv(), "x")

        self.go(talk)

    def test_a_reader_that_waits_holds_the_sender_back(self):
        sent = []

        async def flood(connection):
            for i in range(64):
                await connection.send(bytes(1 << 20))
                sent.append(i)

        self.start(flood)

        async def talk(connection):
            await asyncio.sleep(0.5)
            held = len(sent)
            for _ in range(64):
                self.assertEqual(len(await connection.recv()), 1 << 20)
            return held

        self.assertLess(self.go(talk, max_queue=1, read_limit=1 << 16, compression=None), 64)

    def test_many_at_once(self):
        self.start(workers=2)

        async def one(i):
            async with self.connect_ws() as connection:
                for round in range(5):
                    await connection.send(f"{i}.{round}")
                    assert await connection.recv() == f"{i}.{round}"

        async def all_of_them():
            await asyncio.gather(*(one(i) for i in range(50)))

        asyncio.run(asyncio.wait_for(all_of_them(), 60))
        self.running.until_metric("lb_active_connections", 0, listener="web")
        self.assertEqual(self.running.metric("lb_requests_total", status_code="101"), 50)

    def test_bytes_right_behind_the_handshake(self):
        """A server that speaks first, in the same segment as its 101."""

        def serve(wire):
            request = wire.request()
            if request is None or request.method != "GET":
                return
            key = request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            head = (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            wire.send(head.encode() + b"\x81\x05first")
            wire.rest()

        self.running = self.weir(config_for(self.backend(raw=serve), cluster={"protocol": "http1"}))

        async def talk(connection):
            self.assertEqual(await connection.recv(), "first")
            connection.transport.abort()

        self.go(talk)


@unittest.skipIf(websockets is None, "python3-websockets is not installed")
class Addresses(Case):
    def test_over_ipv6_and_a_unix_socket(self):
        server = Server(self, echo)
        folder = self.folder()
        config = config_for(server, listener={"address": "[::1]:0"})
        config["listeners"].append({"name": "path", "address": f"unix:{folder}/weir.sock"})
        running = self.weir(config)

        async def through(**where):
            async with websockets.connect(f"ws://[::1]:{running.ports['web']}/", **where) as connection:
                await connection.send("hello")
                return await connection.recv()

        self.assertEqual(asyncio.run(asyncio.wait_for(through(), 30)), "hello")
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{folder}/weir.sock")
        self.assertEqual(asyncio.run(asyncio.wait_for(through(sock=sock), 30)), "hello")


if __name__ == "__main__":
    unittest.main()
