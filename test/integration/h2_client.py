"""A client of HTTP/2 on Python's h2, which can say what others would not."""

import sys

from harness import connect

try:
    import h2.config
except ImportError:  # Debian's, when another Python runs this
    sys.path.append("/usr/lib/python3/dist-packages")
try:
    import h2.config
    import h2.connection
    import h2.events
except ImportError:
    h2 = None


class H2Client:
    """One connection of Python's h2."""

    def __init__(self, test, port):
        self.test = test
        self.wire = connect(port)
        test.addCleanup(self.wire.close)
        self.session = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.session.initiate_connection()
        self.answers = {}
        self.going_away = []
        self.flush()

    def flush(self):
        self.wire.send(self.session.data_to_send())

    def ask(self, path, method="GET", fields=(), body=None, trailers=None):
        stream = self.session.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "test.example"), (":path", path), *fields]
        self.answers[stream] = {"status": None, "interim": [], "body": b"", "trailers": [], "end": None}
        self.session.send_headers(stream, head, end_stream=body is None and trailers is None)
        if body is not None:
            self.session.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            self.session.send_headers(stream, trailers, end_stream=True)
        self.flush()
        return stream

    def read(self):
        """Takes in what comes next; False at the connection's end."""
        data = self.wire.sock.recv(1 << 16)
        if not data:
            return False
        for event in self.session.receive_data(data):
            self.on(event)
        self.flush()
        return True

    def on(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.InformationalResponseReceived):
            answer["interim"].append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            answer["status"] = int(dict(event.headers)[":status"])
            answer["fields"] = event.headers[1:]
        elif isinstance(event, h2.events.DataReceived):
            answer["body"] += event.data
            self.session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer["trailers"] = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            answer["end"] = "end"
        elif isinstance(event, h2.events.StreamReset):
            answer["end"] = f"reset {int(event.error_code)}"
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.going_away.append((int(event.error_code), event.last_stream_id))

    def answer(self, stream):
        while self.answers[stream]["end"] is None:
            self.test.assertTrue(self.read(), f"closed before {stream} was answered: {self.answers[stream]}")
        return self.answers[stream]
