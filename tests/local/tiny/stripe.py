"""A fake Stripe that only keeps its clock."""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    offset_seconds = 0.0

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Handler.offset_seconds = json.loads(body)["offset_seconds"]
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"offset_seconds": Handler.offset_seconds}).encode())

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--state")
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()
