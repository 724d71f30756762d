"""A program that behaves as a test wants it to: what Prometheus and Alertmanager cannot be made to do."""

from __future__ import annotations

import http.server
import os
import signal
import sys
import time

BEHAVIOUR = os.environ.get("STAND_IN", "good")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if BEHAVIOUR == "never ready" else 200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


if "--version" in sys.argv:
    print(f"{os.path.basename(sys.argv[0])}, version {'3.15.0' if 'prometheus' in sys.argv[0] else '0.31.1'}")
    sys.exit()
if BEHAVIOUR == "ends at once":
    print("the configuration is bad")
    sys.exit(3)
if BEHAVIOUR == "ignores SIGTERM":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if BEHAVIOUR == "ends late":
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), os._exit(0)))
address = next(argument for argument in sys.argv if argument.startswith("--web.listen-address=")).partition("=")[2]
host, _, port = address.rpartition(":")
print("listening", flush=True)
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
