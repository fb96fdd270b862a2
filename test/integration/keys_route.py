"""The keys of a route."""

from harness import backend_of, config_for, connect, fetch, ok, render
from keys_table import KeyCase, shows


def matched(match, **listener):
    """A route that answers `matched`, then one that answers `other`."""
    return {
        "workers": 1,
        "admin": {"address": "127.0.0.1:0"},
        "clusters": [],
        "listeners": [{"name": "web", "address": "127.0.0.1:0", **listener}],
        "routes": [
            {"match": match, "respond": {"status": 200, "body": "matched"}},
            {"respond": {"status": 200, "body": "other"}},
        ],
    }


def one_route(**route):
    return {
        "workers": 1,
        "admin": {"address": "127.0.0.1:0"},
        "clusters": [],
        "listeners": [{"name": "web", "address": "127.0.0.1:0"}],
        "routes": [route],
    }


class RouteKeys(KeyCase):
    def assert_matches(self, make, one, two, path="/", **request):
        first, second = (self.weir(matched(make(value))) for value in (one, two))
        self.assertEqual(
            (fetch(first.port, path, **request).text, fetch(second.port, path, **request).text), ("matched", "other")
        )

    @shows("routes[].name")
    def test_name(self):
        for name in ("one", "two"):
            weir = self.weir(one_route(name=name, respond={"status": 200}))
            fetch(weir.port)
            self.assertEqual(weir.metric("lb_requests_total", route=name), 1)

    @shows("routes[].match.host")
    def test_host(self):
        self.assert_matches(lambda host: {"host": host}, "a.example", "b.example", host="A.example:81")
        self.assert_matches(lambda host: {"host": host}, "*.example", "a.example", host="x.a.example")

    @shows("routes[].match.path")
    def test_path(self):
        self.assert_matches(lambda path: {"path": path}, "/a/b", "/a", "/a/./%62?x=1")

    @shows("routes[].match.path_prefix")
    def test_path_prefix(self):
        self.assert_matches(lambda path: {"path_prefix": path}, "/api", "/ap", "/api/x")

    @shows("routes[].match.methods")
    def test_methods(self):
        self.assert_matches(lambda methods: {"methods": methods}, ["PUT", "GET"], ["POST"])

    @shows("routes[].match.headers")
    def test_headers(self):
        self.assert_matches(lambda value: {"headers": {"x-team": value}}, "blue", "Blue", fields={"X-Team": "blue"})

    @shows("routes[].cluster")
    def test_cluster(self):
        backends = [self.backend(name) for name in ("one", "two")]
        for name in ("one", "two"):
            config = config_for(backends[0])
            config["clusters"] = [{"name": backend.name, "backends": [backend_of(backend)]} for backend in backends]
            config["routes"] = [{"cluster": name}]
            self.assertEqual(fetch(self.weir(config).port).text, name)

    def split(self, weights, names=("one", "two")):
        backends = [self.backend(name) for name in ("one", "two")]
        config = config_for(backends[0])
        config["clusters"] = [{"name": backend.name, "backends": [backend_of(backend)]} for backend in backends]
        config["routes"] = [{"split": [{"cluster": name, "weight": weight} for name, weight in zip(names, weights)]}]
        with connect(self.weir(config).port) as wire:
            answers = [wire.send(render("GET", "/")).final().text for _ in range(200)]
        return answers.count("one")

    @shows("routes[].split[].cluster")
    def test_split_cluster(self):
        self.assertEqual((self.split([1], ["one"]), self.split([1], ["two"])), (200, 0))

    @shows("routes[].split[].weight")
    def test_split_weight(self):
        self.assertGreater(self.split([9, 1]), 140)
        self.assertLess(self.split([1, 9]), 60)
        self.assertEqual(self.split([0, 1]), 0)

    def redirect(self, **redirect):
        weir = self.weir(one_route(match={"path_prefix": "/old"}, redirect=redirect))
        answer = fetch(weir.port, "/old/x?q=1", host="site.example:8080")
        return answer.status, answer.get("location")

    @shows("routes[].redirect.status")
    def test_redirect_status(self):
        self.assertEqual(self.redirect(status=301, scheme="https")[0], 301)
        self.assertEqual(self.redirect(status=307, scheme="https")[0], 307)

    @shows("routes[].redirect.scheme", "routes[].redirect.host", "routes[].redirect.port")
    def test_redirect_authority(self):
        for redirect, location in (
            ({"scheme": "https", "port": 443}, "https://site.example/old/x?q=1"),
            ({"scheme": "http", "port": 81}, "http://site.example:81/old/x?q=1"),
            ({"host": "new.example"}, "http://new.example:8080/old/x?q=1"),
            ({"host": "other.example"}, "http://other.example:8080/old/x?q=1"),
            ({"port": 82}, "http://site.example:82/old/x?q=1"),
        ):
            self.assertEqual(self.redirect(**redirect), (308, location), redirect)

    @shows("routes[].redirect.path", "routes[].redirect.path_prefix")
    def test_redirect_path(self):
        for redirect, path in (
            ({"path": "/new"}, "/new?q=1"),
            ({"path": "/other"}, "/other?q=1"),
            ({"path_prefix": "/new"}, "/new/x?q=1"),
            ({"path_prefix": "/other"}, "/other/x?q=1"),
        ):
            self.assertEqual(self.redirect(**redirect), (308, "http://site.example:8080" + path), redirect)

    @shows("routes[].respond.status", "routes[].respond.body", "routes[].respond.headers")
    def test_respond(self):
        for respond in (
            {"status": 200, "body": "one", "headers": {"x-a": "1"}},
            {"status": 404, "body": "two", "headers": {"x-a": "2", "content-type": "text/html"}},
        ):
            answer = fetch(self.weir(one_route(respond=respond)).port)
            self.assertEqual(
                (answer.status, answer.text, answer.get("x-a")),
                (respond["status"], respond["body"], respond["headers"]["x-a"]),
            )
            self.assertEqual(answer.all("content-type"), [respond["headers"].get("content-type", "text/plain")])

    def answers_first(self, backend, timeouts):
        weirs = [self.weir(config_for(backend, route={"timeouts": value})) for value in timeouts]
        one, two = (self.connect(weir.port).send(render("GET", "/")) for weir in weirs)
        first = one.final()
        if two.buffer == b"" and first.status == 200:
            two.head()
            two.until(b"half")
        two.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            two.sock.recv(1)
        return first

    @shows("routes[].timeouts.request")
    def test_request_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        self.assert_reply(self.answers_first(slow, [{"request": "100ms"}, {"request": "1m"}]), 504, "upstream_timeout")

    @shows("routes[].timeouts.total")
    def test_total_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        self.assert_reply(self.answers_first(slow, [{"total": "100ms"}, {"total": "1m"}]), 504, "upstream_timeout")

    @shows("routes[].timeouts.stream_idle")
    def test_stream_idle(self):
        def stall(request, wire):
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            wire.rest()

        cut = self.answers_first(self.backend(answer=stall), [{"stream_idle": "100ms"}, {"stream_idle": "1m"}])
        self.assertEqual((cut.status, cut.body, cut.complete), (200, b"half", False))

    @shows("routes[].limits.body_bytes")
    def test_body_bytes(self):
        backend = self.backend()
        small, large = self.pair(lambda n: config_for(backend, route={"limits": {"body_bytes": n}}), 3, 4)
        self.assert_reply(fetch(small.port, method="POST", body=b"1234"), 413, "body_too_large")
        self.assertEqual(fetch(large.port, method="POST", body=b"1234").status, 200)


class FilterKeys(KeyCase):
    def exchange(self, **edit):
        """What a backend got, and what the client got, of x-a, when both sides send x-a: sent."""
        backend = self.backend(answer=lambda request, wire: ok("x", [("X-A", "sent")]))
        weir = self.weir(config_for(backend, route={"filters": [edit]}))
        answer = fetch(weir.port, fields={"X-A": "sent"})
        return backend.requests[-1].all("x-a"), answer.all("x-a")

    @shows("routes[].filters[].request_headers.set")
    def test_request_set(self):
        self.assertEqual(self.exchange(request_headers={"set": {"x-a": "1"}}), (["1"], ["sent"]))
        self.assertEqual(self.exchange(request_headers={"set": {"x-a": "2"}}), (["2"], ["sent"]))

    @shows("routes[].filters[].request_headers.add")
    def test_request_add(self):
        self.assertEqual(self.exchange(request_headers={"add": {"x-a": "1"}}), (["sent", "1"], ["sent"]))
        self.assertEqual(self.exchange(request_headers={"add": {"x-a": "2"}}), (["sent", "2"], ["sent"]))

    @shows("routes[].filters[].request_headers.remove")
    def test_request_remove(self):
        self.assertEqual(self.exchange(request_headers={"remove": ["x-a"]}), ([], ["sent"]))
        self.assertEqual(self.exchange(request_headers={"remove": ["x-b"]}), (["sent"], ["sent"]))

    @shows("routes[].filters[].response_headers.set")
    def test_response_set(self):
        self.assertEqual(self.exchange(response_headers={"set": {"x-a": "1"}}), (["sent"], ["1"]))
        self.assertEqual(self.exchange(response_headers={"set": {"x-a": "2"}}), (["sent"], ["2"]))

    @shows("routes[].filters[].response_headers.add")
    def test_response_add(self):
        self.assertEqual(self.exchange(response_headers={"add": {"x-a": "1"}}), (["sent"], ["sent", "1"]))
        self.assertEqual(self.exchange(response_headers={"add": {"x-a": "2"}}), (["sent"], ["sent", "2"]))

    @shows("routes[].filters[].response_headers.remove")
    def test_response_remove(self):
        self.assertEqual(self.exchange(response_headers={"remove": ["x-a"]}), (["sent"], []))
        self.assertEqual(self.exchange(response_headers={"remove": ["x-b"]}), (["sent"], ["sent"]))

    def test_host_is_replaced_by_set(self):
        backend = self.backend()
        weir = self.weir(config_for(backend, route={"filters": [{"request_headers": {"set": {"host": "in.example"}}}]}))
        fetch(weir.port)
        self.assertEqual(backend.requests[-1].all("host"), ["in.example"])
