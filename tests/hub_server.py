"""A stand-in for the Hugging Face Hub on this machine: the endpoints that huggingface_hub 2.4 uses, and failures."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

from cocktail.checkpoints import hub as cocktail_hub

LFS_SUFFIXES = (".safetensors", ".pkl", ".pt", ".onnx")
TOKEN = "hf_of_a_test"


@dataclass
class Repo:
    """branches: name -> commit; commits: commit -> files; messages: in order of the commits."""

    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    private: bool = False
    gated: bool = False
    sdk: str | None = None

    def commit(self, files: dict[str, bytes], branch: str = "main", message: str = "") -> str:
        seed = f"{len(self.commits)} {sorted(files)}".encode() + b"".join(files[name] for name in sorted(files))
        sha = hashlib.sha1(seed).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches.get(revision, revision)]


@dataclass
class Fault:
    """An answer that goes wrong, `times` times: a status, a body cut after `cut` bytes (-1: at once), or another."""

    path: str  # a pattern of the request's path
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    content: bytes = b""
    times: int = 1_000_000
    method: str = "GET"


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked: (method, path, Range)."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)  # "models/me/x", "spaces/me/x"
    static: dict[str, bytes] = field(default_factory=dict)  # by path, outside any repository
    uploads: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)  # Authorization headers that came

    def add(self, name: str, files: dict[str, bytes], kind: str = "models") -> str:
        return self.repos.setdefault(f"{kind}/{name}", Repo()).commit(files)

    def instead_of_the_real_one(self, folder: Path, monkeypatch) -> "Hub":
        """Has this process ask here, with an empty cache in `folder`, and nobody signed in."""
        settings = {"ENDPOINT": self.url, "HF_HUB_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": False,
                    "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
                    "HF_HUB_DISABLE_XET": True, "HF_TOKEN_PATH": str(folder / "token"),
                    "HF_HUB_DISABLE_TELEMETRY": True, "HF_HUB_DISABLE_PROGRESS_BARS": True}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(cocktail_hub, "_LOCATED", {})
        return self

    def paths(self, method: str = "GET") -> list[str]:
        return [path for verb, path, _ in self.asked if verb == method]


@contextmanager
def running():
    """A stand-in that serves on a free port of this machine until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_sha(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def described(name: str, data: bytes) -> dict:
    entry = {"rfilename": name, "size": len(data), "blobId": git_sha(data)}
    if name.endswith(LFS_SUFFIXES):
        entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
    return entry


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._handle("GET")

    def do_HEAD(self):
        self._handle("HEAD")

    def do_POST(self):
        self._handle("POST")

    def do_PUT(self):
        self._handle("PUT")

    def _handle(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append((method, path, self.headers.get("Range") or ""))
        if self.headers.get("Authorization"):
            self.hub.tokens.add(self.headers["Authorization"])
        self.fault = None
        for fault in self.hub.faults:
            if fault.times > 0 and fault.method in (method, "ANY") and re.search(fault.path, path):
                fault.times -= 1
                if fault.status:
                    return self._json({"error": "a fault of the test"}, fault.status, fault.headers)
                self.fault = fault
                break
        for verbs, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if method in verbs and found:
                return answer(self, *found.groups())
        if path in self.hub.static and method in ("GET", "HEAD"):
            return self._send(self.hub.static[path], {"ETag": f'"{sha256(self.hub.static[path])[:16]}"'})
        self._json({"error": "no such address"}, 404)

    # What every answer needs

    def _json(self, value: object, status: int = 200, headers: dict | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        """A file, or the part of it that Range asks for; cut or exchanged where a fault says so."""
        data = self.fault.content if self.fault and self.fault.content else data
        wanted, start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""), 0
        if wanted and self.headers.get("If-Range", headers.get("ETag")) == headers.get("ETag"):
            start = int(wanted[1])
            if start >= len(data):
                return self._json({}, 416)
        self.send_response(206 if start else 200)
        for name, text in headers.items():
            self.send_header(name, text)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        part = data[start:]
        cut = bool(self.fault and self.fault.cut)
        self.wfile.write(part[: max(0, self.fault.cut)] if cut else part)
        if cut:
            self.wfile.flush()
            self.close_connection = True

    def _repo(self, kind: str, name: str) -> Repo | None:
        """The repository, or None after the answer that the real Hub gives for one that is not to be seen."""
        found = self.hub.repos.get(f"{kind}/{name}")
        signed_in = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or (found.private and not signed_in):
            status = 404 if signed_in else 401
            self._json({"error": "Repository not found"}, status, {"X-Error-Code": "RepoNotFound"})
        elif found.gated and not signed_in:
            self._json({"error": "gated"}, 403, {"X-Error-Code": "GatedRepo"})
        else:
            return found
        return None

    def _signed_in(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._json({"error": "Invalid username or password."}, 401)
        return False

    # Reading

    def info(self, kind: str, name: str, revision: str | None) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        commit = repo.branches.get(revision or "main", revision)
        if commit not in repo.commits:
            return self._json({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        files = [described(path, data) for path, data in repo.commits[commit].items()]
        self._json({"id": name, "sha": commit, "private": repo.private, "siblings": files})

    def tree(self, kind: str, name: str, revision: str) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        files = repo.files(revision) if repo.branches else {}
        self._json([{"type": "file", "path": p, "size": len(d), "oid": git_sha(d)} for p, d in files.items()])

    def resolve(self, prefix: str | None, name: str, revision: str, path: str) -> None:
        repo = self._repo((prefix or "models/").rstrip("/"), name)
        if repo is None:
            return
        commit = repo.branches.get(revision, revision)
        data = repo.commits.get(commit, {}).get(path)
        if data is None:
            return self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not path.endswith(LFS_SUFFIXES):
            return self._send(data, headers | {"ETag": f'"{git_sha(data)}"'})
        oid = sha256(data)
        self.hub.uploads[oid] = data
        store = self.hub.url.replace("127.0.0.1", "localhost")  # large files lie on another host, as on the real Hub
        linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(data)), "Location": f"{store}/lfs/{oid}"}
        self._json({}, 302, headers | linked)

    def large(self, oid: str) -> None:
        self._send(self.hub.uploads[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def whoami(self) -> None:
        if self._signed_in():
            self._json({"type": "user", "name": "me", "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    # Writing

    def create(self) -> None:
        if not self._signed_in():
            return
        asked = json.loads(self.body)
        kind, name = asked.get("type", "model") + "s", f"{asked.get('organization') or 'me'}/{asked['name']}"
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if f"{kind}/{name}" in self.hub.repos:
            return self._json({"error": "You already created this repo", "url": url}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        repo = self.hub.repos[f"{kind}/{name}"] = Repo(private=private, sdk=asked.get("sdk"))
        repo.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, message="initial commit")
        self._json({"url": url, "name": name, "id": name})

    def branch(self, kind: str, name: str, branch: str) -> None:
        repo = self.hub.repos[f"{kind}/{name}"]
        if branch in repo.branches:
            return self._json({"error": "exists"}, 409)
        repo.branches[branch] = repo.branches["main"]
        self._json({})

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if not self._signed_in():
            return
        files = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LFS_SUFFIXES) else "regular",
             "shouldIgnore": False}
            for f in json.loads(self.body)["files"]
        ]  # fmt: skip
        self._json({"files": files})

    def batch(self, prefix: str | None, name: str) -> None:
        objects = [
            {"oid": item["oid"], "size": item["size"],
             "actions": {"upload": {"href": f"{self.hub.url}/upload/{item['oid']}"},
                         "verify": {"href": f"{self.hub.url}/verify/{item['oid']}"}}}
            for item in json.loads(self.body)["objects"]
        ]  # fmt: skip
        self._json({"objects": objects, "transfer": "basic"})

    def upload(self, oid: str) -> None:
        self.hub.uploads[oid] = self.body
        self._json({}, 200 if sha256(self.body) == oid else 400)

    def verify(self, oid: str) -> None:
        self._json({}, 200 if oid in self.hub.uploads else 404)

    def commit(self, kind: str, name: str, revision: str) -> None:
        if not self._signed_in():
            return
        repo = self.hub.repos[f"{kind}/{name}"]
        files, message = dict(repo.files(revision)), ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files, revision, message)
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha})


API, NAMED = r"/api/(models|spaces)/([^/]+/[^/]+)", r"(spaces/)?([^/]+/[^/]+)"
ROUTES = [
    (("GET",), API + r"(?:/revision/(.+))?", _Handler.info),
    (("GET",), API + r"/tree/([^?]+)", _Handler.tree),
    (("GET", "HEAD"), "/" + NAMED + r"/resolve/([^/]+)/(.+)", _Handler.resolve),
    (("GET", "HEAD"), r"/lfs/([0-9a-f]+)", _Handler.large),
    (("GET",), "/api/whoami-v2", _Handler.whoami),
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("POST",), API + r"/branch/(.+)", _Handler.branch),
    (("POST",), API + r"/preupload/(.+)", _Handler.preupload),
    (("POST",), "/" + NAMED + r"\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), r"/upload/([0-9a-f]+)", _Handler.upload),
    (("POST",), r"/verify/([0-9a-f]+)", _Handler.verify),
    (("POST",), API + r"/commit/(.+)", _Handler.commit),
]
