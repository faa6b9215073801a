"""The app as a program."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOUNDARY = "cocktail"


def uploaded(address, count):
    """The status that an upload of so many bytes gets."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.pkl"\r\n\r\n'
    body = head.encode() + b"x" * count + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    try:
        return urllib.request.urlopen(urllib.request.Request(address, body, kind), timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_the_largest_upload_is_what_the_environment_says(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port),
                                "COCKTAIL_MAX_UPLOAD": "2kb"}  # fmt: skip
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(address, timeout=10)
                break
            except OSError:
                assert app.poll() is None
                time.sleep(0.2)
        assert uploaded(address + "gradio_api/upload", 1000) == 200
        assert uploaded(address + "gradio_api/upload", 5000) == 413
    finally:
        app.terminate()
        app.wait(timeout=30)
