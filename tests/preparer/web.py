"""A server on this machine that breaks off, redirects and forgets, as those of the web do."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page:
    """What an address answers: `body`, sent at most `cut` bytes at a time, or a `status`."""

    def __init__(self, body=b"", *, cut=None, status=200, etag='"1"', **options):
        self.body, self.cut, self.status, self.etag = body, cut, status, etag
        self.ranges = options.get("ranges", True)
        self.has_length = options.get("has_length", True)
        self.headers = options.get("headers", {})


class Web:
    """Pages by their paths (with `?`), and the requests that came."""

    def __init__(self):
        self.pages, self.requests = {}, []

    def asked(self, path):
        """The headers of each request for a path."""
        return [headers for name, headers in self.requests if name == path]


def handler(web):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            web.requests.append((self.path, dict(self.headers)))
            page = web.pages.get(self.path, Page(b"none", status=404))
            if page.status != 200:
                self.answer(page, page.status, page.body, len(page.body))
                return
            start, wanted = 0, self.headers.get("Range", "")
            same = self.headers.get("If-Range", page.etag) == page.etag
            if wanted and page.ranges and same:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= len(page.body):
                told = {"Content-Range": f"bytes */{len(page.body)}"}
                self.answer(Page(headers=told, etag=""), 416, b"", 0)
                return
            rest = page.body[start:]
            told = {"Content-Range": f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"}
            page.headers = page.headers | (told if start else {})
            length = len(rest) if page.has_length else None
            self.answer(page, 206 if start else 200, rest[: page.cut], length)

        def answer(self, page, status, body, length):
            self.send_response(status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.etag:
                self.send_header("ETag", page.etag)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def serving():
    """(the pages, the server's address)."""
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(web))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
