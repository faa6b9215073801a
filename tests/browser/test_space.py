"""A Space as the Hub would run it: the folder that is pushed, in a Python of its own, driven in Chromium."""

import os
import re
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from cocktail.checkpoints import space
from tests import hub_server
from tests.browser.conftest import ROOT, Visitor, _await

# What Gradio itself asks for on a Space: its own fonts, and the Hub about the Space that it is.
GRADIO = re.compile(r"https://(fonts\.googleapis\.com/|huggingface\.co/api/spaces/me/union-space)")
UNANSWERED = ("Failed to load resource", "Space not found")
# Run with the Space's Python: the session of a visitor who signed in, as Gradio keeps it in a cookie.
SESSION = """import base64, hashlib, itsdangerous, json, sys
user = {"sub": "1", "name": "Ann", "preferred_username": "ann", "profile": "", "picture": ""}
session = {"oauth_info": {"access_token": sys.argv[1], "expires_at": 9e12, "scope": "", "userinfo": user}}
signer = itsdangerous.TimestampSigner(hashlib.sha256(b"secret-v4").hexdigest())
print(signer.sign(base64.b64encode(json.dumps(session).encode())).decode())"""
SECRETS = {"OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile contribute-repos",
           "OPENID_PROVIDER_URL": "http://127.0.0.1:9"}  # fmt: skip


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def installed(folder: Path, program: Path) -> Path:
    """A fresh Python with what the Space's own requirements ask for, Gradio as the Hub adds it; returns its path."""
    venv.create(folder, with_pip=True)
    version = space.front_matter((program / "README.md").read_text(encoding="utf-8"))["sdk_version"]
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT / "constraints.txt",
               "-r", program / "requirements.txt", f"gradio[oauth]=={version}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return python


class Guest(Visitor):
    """A visitor who also lets Gradio ask for what it asks for on every Space."""

    def _check(self, request) -> None:
        if not GRADIO.match(request.url):
            super()._check(request)


@pytest.fixture(scope="module")
def a_space(union, tmp_path_factory):
    """(the stand-in Hub, the address, the Python) of a Space that was built and installed as the Hub does it."""
    home = tmp_path_factory.mktemp("a-space")
    program = space.build(home / "space", str(union))
    python = installed(home / "venv", program)
    port, log = free_port(), home / "space.log"
    with hub_server.running() as hub:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "OMP_NUM_THREADS") if name in os.environ}
        environment = kept | SECRETS | {
            "SPACE_ID": "me/union-space", "SYSTEM": "spaces", "SPACE_AUTHOR_NAME": "me", "HF_ENDPOINT": hub.url,
            "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": port, "COCKTAIL_RUNS": str(home / "runs"),
            "COCKTAIL_QUEUE": str(home / "queue"), "HF_HUB_DISABLE_XET": "1",
        }  # fmt: skip
        with log.open("wb") as out:
            app = subprocess.Popen([python, "app.py"], cwd=program, env=environment, stdout=out,
                                   stderr=subprocess.STDOUT)  # fmt: skip
        try:
            _await(f"http://127.0.0.1:{port}/", app, log)
            yield hub, f"http://127.0.0.1:{port}/", python
        finally:
            app.terminate()
            app.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.browser
def test_the_exact_folder_of_a_space_runs_in_a_clean_python_and_opens_on_its_model(chromium, a_space):
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    guest = Guest(context, a_space[1]).open()
    assert guest.titles()[0] == "face, seed 0, psi 1"
    assert guest.pixels("#sheet .cell img").std() > 5
    guest.choose("dog")
    guest.page.wait_for_function("document.querySelector('#sheet .cell img').alt.startsWith('dog')")
    guest.tab("Library")
    guest.page.locator("#library article.model").first.wait_for()
    assert guest.page.locator("#library article.model h2").all_inner_texts() == ["Test union"]
    assert guest.page.locator("#library-path").count() == 0  # strangers open no path on the server
    guest.tab("Merge")
    guest.page.get_by_text("Merging is for the owner of this Space").wait_for()
    assert guest.page.locator("#sign-in").is_visible()
    guest.picture("space")
    assert not [fault for fault in guest.faults if not fault.startswith(UNANSWERED)]
    context.close()


@pytest.mark.slow
@pytest.mark.browser
def test_a_visitor_of_a_space_signs_in_and_pushes_in_their_own_name(chromium, a_space):
    hub, address, python = a_space
    made = subprocess.run([python, "-c", SESSION, hub_server.TOKEN], capture_output=True, text=True, check=True)
    for headers in ({}, {"Cookie": f"session={made.stdout.strip()}"}):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, extra_http_headers=headers)
        context.set_default_timeout(60_000)
        guest = Guest(context, address).open().tab("Library")
        guest.page.locator("#library .model").first.get_by_role("button", name="Share").click()
        guest.page.locator("#push").get_by_role("button").first.click()
        guest.page.locator("#push-name textarea, #push-name input").first.fill("ann/mine")
        guest.page.locator("#push-go").click()
        if not headers:
            guest.notice("Sign in to push a model to the Hub in your name.")
            assert hub.repos == {}
        else:
            guest.page.locator("#push-said a").wait_for()
            assert hub.tokens == {f"Bearer {hub_server.TOKEN}"} and "models/ann/mine" in hub.repos
        context.close()


@pytest.fixture(scope="module")
def studio(union, tmp_path_factory):
    """(the stand-in Hub, the address of an app that asks it)."""
    port, folder = free_port(), tmp_path_factory.mktemp("studio-with-hub")
    with hub_server.running() as hub:
        environment = os.environ | {
            "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": port, "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home"), "HF_TOKEN": hub_server.TOKEN,
            "HF_HUB_DISABLE_XET": "1", "COCKTAIL_RUNS": str(folder / "runs"),
            "COCKTAIL_QUEUE": str(folder / "queue"),
        }  # fmt: skip
        with (folder / "app.log").open("wb") as out:
            app = subprocess.Popen([sys.executable, "app.py", "--model", str(union)], cwd=ROOT, env=environment,
                                   stdout=out, stderr=subprocess.STDOUT)  # fmt: skip
        try:
            _await(f"http://127.0.0.1:{port}/", app, folder / "app.log")
            yield hub, f"http://127.0.0.1:{port}/"
        finally:
            app.terminate()
            app.wait(timeout=30)


@pytest.fixture
def visitor(chromium, studio):
    """Somebody in the Library; at the end they may not have met an error."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    visitor = Visitor(context, studio[1]).open()
    yield visitor.tab("Library")
    context.close()
    assert not visitor.faults


@pytest.mark.slow
@pytest.mark.browser
def test_a_model_is_pushed_from_the_library(studio, visitor):
    hub, page = studio[0], visitor.page
    page.locator("#library .model", has_text="Test union").get_by_role("button", name="Share").click()
    page.locator("#push").get_by_role("button").first.click()
    page.locator("#push-name textarea, #push-name input").first.fill("me/from-the-page")
    page.locator("#push-private input").check()
    page.locator("#push-go").click()
    page.locator("#push-said a").wait_for()
    assert page.locator("#push-said a").get_attribute("href") == f"{hub.url}/me/from-the-page"
    repo = hub.repos["models/me/from-the-page"]
    assert repo.private and "samples/00-face.png" in repo.files()
    visitor.picture("push")
