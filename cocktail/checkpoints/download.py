"""A large file over https: goes on where it broke, stays within a limit, and appears whole or not at all."""

import contextlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from cocktail.checkpoints.files import write_text
from cocktail.errors import CocktailError

Report = Callable[[int, int], None]  # bytes so far, bytes in all (0 where the server does not say)
MAX_BYTES = 8 << 30
CHUNK = 1 << 18
TRIES = 4  # without a single new byte
TIMEOUT_SEC = 30.0
PAUSE_SEC = 1.0
LOCAL = ("127.0.0.1", "localhost", "::1")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where it leads to an address that would be accepted itself."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check(url: str) -> None:
    """Raises: CocktailError where an address is neither https nor on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise CocktailError(f"{url} is no https address; nothing is downloaded.")


def download(url: str, path: Path, report: Report | None = None, limit: int = MAX_BYTES) -> None:
    """Fetches `url` into `path`; what a broken try left in `path`.partial is kept and used by the next.

    limit: bytes at most; report: called after each piece.

    Raises: CocktailError where the address is refused, the server does not have the file, it is larger than the limit
    or not as long as announced, or the connection keeps breaking.
    """
    check(url)
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(partial)
        try:
            _continue(url, partial, report, limit)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise CocktailError(_refused(url, error.code)) from error
            problem, wait = _refused(url, error.code), _retry_after(error)
        except (OSError, http.client.HTTPException) as error:
            problem, wait = f"the connection to {_host(url)} broke ({_short(error)})", PAUSE_SEC
        failures = 0 if _size(partial) > before else failures + 1
        if failures >= TRIES:
            kept = f"; the {_size(partial):,} bytes that came are kept for the next try" if _size(partial) else ""
            raise CocktailError(f"{problem}{kept}. Try again later.")
        time.sleep(wait)
    os.replace(partial, path)
    _note(partial).unlink(missing_ok=True)


def _continue(url: str, partial: Path, report: Report | None, limit: int) -> None:
    """One connection: the rest of the file, or all of it where the server cannot give a part or has another file."""
    start, mark = _size(partial), _mark(partial, url)
    headers = {"User-Agent": "gan-cocktail", "Accept-Encoding": "identity"}
    if start and mark:
        headers |= {"Range": f"bytes={start}-", "If-Range": mark}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT_SEC)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        partial.unlink(missing_ok=True)  # longer than the file: begin anew
        raise ConnectionError("the part that was kept does not fit") from error
    with answer:
        start = start if answer.status == 206 else 0
        total = start + int(answer.headers.get("Content-Length") or 0)
        if total > limit:
            raise CocktailError(f"{url} has {total:,} bytes; at most {limit:,} are downloaded.")
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        write_text(_note(partial), json.dumps({"url": url, "mark": "" if mark.startswith("W/") else mark}))
        with partial.open("ab" if start else "wb") as file:
            done = start
            while chunk := answer.read(CHUNK):
                done += len(chunk)
                if done > limit:
                    raise CocktailError(f"{url} sends more than {limit:,} bytes; the download is stopped.")
                file.write(chunk)
                if report:
                    report(done, total if total > start else 0)
            file.flush()
            os.fsync(file.fileno())
    if total > start and done < total:
        raise ConnectionError(f"cut off after {done:,} of {total:,} bytes")


def _mark(partial: Path, url: str) -> str:
    """What the server called the version of the file that a kept part belongs to; "" where that is not known."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        noted = json.loads(_note(partial).read_text(encoding="utf-8"))
        return str(noted.get("mark") or "") if noted.get("url") == url else ""
    return ""


def _note(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _retry_after(error: urllib.error.HTTPError) -> float:
    wait = (error.headers.get("Retry-After") or "") if error.headers else ""
    return min(float(wait), 60.0) if wait.isdigit() else PAUSE_SEC


def _refused(url: str, code: int) -> str:
    if code in (404, 410):
        return f"{url} is not there any more (status {code})"
    if code in (401, 403):
        return f"{_host(url)} does not give {url} away (status {code})"
    if code == 429:
        return f"{_host(url)} says that too many requests came from here (status 429)"
    return f"{_host(url)} answers with status {code} for {url}"


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or url


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "reason", None) or error).split())[:160] or type(error).__name__
