#!/usr/bin/env python3
"""gRPC's own client and server through Weir: calls of every kind, deadlines, errors, retries."""

import os
import threading
import unittest

from grpc_server import Server, grpc, unary
from h2_client import H2Client, h2
from harness import Case, config_for, until


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Calls(Case):
    def start(self, methods, protocol="auto", **parts):
        self.servers = [Server(self, f"s{i}", one) for i, one in enumerate(methods)]
        cluster = {"protocol": protocol, **parts.pop("cluster", {})}
        self.running = self.weir(config_for(*self.servers, cluster=cluster, **parts))
        if protocol == "auto":
            until(
                lambda: all(one["protocol"] == "http2" for one in self.running.backends().values()),
                "the probe has found HTTP/2",
            )
        self.channel = self.open()

    def open(self):
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(f"127.0.0.1:{self.running.port}", options)
        self.addCleanup(channel.close)
        return channel

    def call(self, path, request=b"", timeout=15, **more):
        return self.channel.unary_unary(path).with_call(request, timeout=timeout, **more)

    def fails(self, path, request=b"", timeout=15):
        with self.assertRaises(grpc.RpcError) as raised:
            self.call(path, request, timeout)
        return raised.exception

    def counted(self, status, count=1):
        self.running.until_metric("lb_grpc_requests_total", count, route="all", grpc_status=str(status))

    def test_unary_with_metadata(self):
        seen = {}

        def answer(request, context):
            seen.update(context.invocation_metadata())
            context.send_initial_metadata((("x-first", "1"), ("x-raw-bin", b"\x00\xff")))
            context.set_trailing_metadata((("x-last", "2"), ("x-end-bin", b"\xfe\x01")))
            return request.upper()

        self.start([{"/a.B/C": unary(answer)}])
        response, call = self.call("/a.B/C", b"hello", metadata=(("x-who", "me"), ("x-in-bin", b"\x00\x01\xff")))
        self.assertEqual(response, b"HELLO")
        self.assertEqual((seen["x-who"], seen["x-in-bin"]), ("me", b"\x00\x01\xff"))
        first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
        self.assertEqual((first["x-first"], first["x-raw-bin"]), ("1", b"\x00\xff"))
        self.assertEqual((last["x-last"], last["x-end-bin"]), ("2", b"\xfe\x01"))
        self.assertEqual(call.code(), grpc.StatusCode.OK)
        self.counted(0)

    def test_statuses_and_their_details(self):
        def abort(request, context):
            context.abort(grpc.StatusCode[request.decode()], "what went wrong: 100 % ünïcode\n")

        def abort_late(request, context):
            yield b"one"
            context.abort(grpc.StatusCode.DATA_LOSS, "late")

        self.start([{"/a.B/C": unary(abort), "/a.B/Late": grpc.unary_stream_rpc_method_handler(abort_late)}])
        for code in grpc.StatusCode:
            if code is grpc.StatusCode.OK:
                continue
            error = self.fails("/a.B/C", code.name.encode())
            self.assertEqual((error.code(), error.details()), (code, "what went wrong: 100 % ünïcode\n"))
            self.counted(code.value[0])
        stream = self.channel.unary_stream("/a.B/Late")(b"", timeout=15)
        self.assertEqual(next(stream), b"one")
        with self.assertRaises(grpc.RpcError) as raised:
            next(stream)
        self.assertEqual((raised.exception.code(), raised.exception.details()), (grpc.StatusCode.DATA_LOSS, "late"))
        self.counted(15, 2)

    def test_messages_stream_from_the_client(self):
        def total(requests, context):
            return str(sum(len(request) for request in requests)).encode()

        self.start([{"/a.B/C": grpc.stream_unary_rpc_method_handler(total)}])
        pieces = (bytes(size) for size in (0, 1, 70_000, 3_000_000, 5))
        self.assertEqual(self.channel.stream_unary("/a.B/C")(pieces, timeout=30), b"3070006")

    def test_messages_stream_from_the_server(self):
        taken = threading.Semaphore(0)

        def stream(request, context):
            for i in range(5):
                yield b"%d" % i
                # No further message before the client has got this one: nothing on the way may hold it back.
                if not taken.acquire(timeout=15):
                    context.abort(grpc.StatusCode.ABORTED, "it was held back")

        self.start([{"/a.B/C": grpc.unary_stream_rpc_method_handler(stream)}])
        got = []
        for message in self.channel.unary_stream("/a.B/C")(b"", timeout=60):
            got.append(message)
            taken.release()
        self.assertEqual(got, [b"0", b"1", b"2", b"3", b"4"])

    def test_messages_stream_both_ways(self):
        def echo(requests, context):
            for request in requests:
                yield request[::-1]

        self.start([{"/a.B/C": grpc.stream_stream_rpc_method_handler(echo)}])
        answered = threading.Semaphore(1)
        texts = [b"ping %d" % i for i in range(20)]

        def requests():
            for text in texts:
                # Each waits for the answer to the last.
                if not answered.acquire(timeout=15):
                    return
                yield text

        got = []
        for message in self.channel.stream_stream("/a.B/C")(requests(), timeout=60):
            got.append(message)
            answered.release()
        self.assertEqual(got, [text[::-1] for text in texts])
        self.counted(0)

    def test_large_messages_both_ways(self):
        self.start([{"/a.B/C": unary(lambda request, context: request)}])
        message = os.urandom(3_900_000)
        self.assertEqual(self.call("/a.B/C", message, timeout=60)[0], message)

    @unittest.skipUnless(h2, "python3-h2 is not installed")
    def test_the_server_is_told_what_is_left_of_the_deadline(self):
        left = []

        def note(request, context):
            left.append(context.time_remaining())
            return b""

        self.start([{"/a.B/C": unary(note)}])
        # By hand: gRPC's own client asks for a little more than it is told.
        client = H2Client(self, self.running.port)
        fields = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "10S")]
        client.answer(client.ask("/a.B/C", "POST", fields, body=bytes(5)))
        self.assertLess(left[0], 10)
        self.assertGreater(left[0], 1)

    def test_the_configured_limit_is_the_servers_deadline_too(self):
        left = []

        def note(request, context):
            left.append(context.time_remaining())
            return b""

        self.start([{"/a.B/C": unary(note)}], cluster={"timeouts": {"total": "7s"}})
        self.call("/a.B/C", timeout=60)
        self.assertLess(left[0], 7)

    def test_a_deadline_ends_the_call_on_both_sides(self):
        over = threading.Event()

        def hang(request, context):
            context.add_callback(over.set)
            over.wait(30)
            return b""

        self.start([{"/a.B/C": unary(hang)}])
        error = self.fails("/a.B/C", timeout=0.3)
        self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(over.wait(15), "the server hears of it")
        until(
            lambda: sum(
                self.running.metric("lb_grpc_requests_total", route="all", grpc_status=code) or 0 for code in ("1", "4")
            )
            == 1,
            "it counts as cancelled or as late, by who was first",
        )

    def test_weir_itself_answers_a_call_that_takes_too_long(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def hang(request, context):
            release.wait(30)
            return b""

        self.start([{"/a.B/C": unary(hang)}], cluster={"timeouts": {"request": "200ms"}})
        error = self.fails("/a.B/C", timeout=60)
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.DEADLINE_EXCEEDED, "upstream_timeout"))
        self.counted(4)

    def test_a_cancelled_call_is_cancelled_at_the_server(self):
        begun, over = threading.Event(), threading.Event()

        def hang(request, context):
            context.add_callback(over.set)
            begun.set()
            over.wait(30)
            return b""

        self.start([{"/a.B/C": unary(hang)}])
        call = self.channel.unary_unary("/a.B/C").future(b"", timeout=60)
        self.assertTrue(begun.wait(15))
        call.cancel()
        self.assertTrue(over.wait(15), "the server hears of it")
        self.counted(1)
        # The connection goes on.
        self.assertEqual(self.fails("/no/such").code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_a_cancelled_stream_is_cancelled_at_the_server(self):
        over = threading.Event()

        def endless(request, context):
            context.add_callback(over.set)
            while not over.is_set():
                yield b"x" * 10_000

        self.start([{"/a.B/C": grpc.unary_stream_rpc_method_handler(endless)}])
        stream = self.channel.unary_stream("/a.B/C")(b"", timeout=60)
        for _ in range(10):
            next(stream)
        stream.cancel()
        self.assertTrue(over.wait(15), "the server hears of it")
        self.counted(1)

    def test_local_replies(self):
        self.start([{}], protocol="http2", route={"match": {"path_prefix": "/known"}})
        error = self.fails("/unknown/X")
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNIMPLEMENTED, "no_route"))
        self.servers[0].stop()
        error = self.fails("/known/X")
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, "connect_failed"))
        self.counted(14)

    def test_unavailable_is_tried_elsewhere(self):
        def unavailable(request, context):
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

        methods = [{"/a.B/C": unary(unavailable)}, {"/a.B/C": unary(lambda request, context: b"here")}]
        self.start(
            methods,
            cluster={"retry": {"attempts": 2, "on": ["unavailable"], "methods": ["POST"], "budget": "none"}},
        )
        for _ in range(8):
            self.assertEqual(self.call("/a.B/C")[0], b"here")
        self.counted(0, 8)
        self.assertEqual(self.running.metric("lb_retries_total", cluster="app", reason="unavailable"), 4)

    def test_a_server_that_goes_is_replaced(self):
        hello = {"/a.B/C": unary(lambda request, context: b"here")}
        self.start([hello, hello], cluster={"retry": {"attempts": 3, "methods": ["POST"]}})
        for _ in range(4):
            self.call("/a.B/C")
        self.servers[0].stop()
        for _ in range(8):
            self.assertEqual(self.call("/a.B/C")[0], b"here")

    def test_many_calls_share_a_connection(self):
        barrier = threading.Barrier(12, timeout=30)

        def meet(request, context):
            barrier.wait()
            return request

        self.start([{"/a.B/C": unary(meet)}])
        calls = [self.channel.unary_unary("/a.B/C").future(b"%d" % i, timeout=60) for i in range(12)]
        self.assertEqual([call.result() for call in calls], [b"%d" % i for i in range(12)])
        self.assertEqual(self.running.metric("lb_pool_connections_created_total", protocol="http2"), 1)


if __name__ == "__main__":
    unittest.main()
