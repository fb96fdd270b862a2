"""A gRPC server of gRPC's own library, for tests; `grpc` is None where there is none."""

import concurrent.futures
import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
try:
    import grpc
except ImportError:
    grpc = None


def unary(handler):
    return grpc.unary_unary_rpc_method_handler(handler)


class Server:
    """A gRPC server whose messages are bytes. `methods` has a handler for each path."""

    def __init__(self, test, name, methods, port=0, credentials=None):
        self.name = name
        methods = dict(methods)

        class Generic(grpc.GenericRpcHandler):
            def service(self, details):
                return methods.get(details.method)

        self.server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)]
        )
        self.server.add_generic_rpc_handlers((Generic(),))
        self.secure = credentials is not None
        if self.secure:
            self.port = self.server.add_secure_port(f"127.0.0.1:{port}", credentials)
        else:
            self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()
        test.addCleanup(self.stop)

    @property
    def url(self):
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}"

    def stop(self):
        self.server.stop(0).wait(10)
