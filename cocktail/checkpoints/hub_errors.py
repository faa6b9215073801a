"""What can go wrong between here and the Hugging Face Hub, in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from cocktail.errors import CocktailError

SIGN_IN = "sign in with `hf auth login`, or set HF_TOKEN"
SITE = "https://huggingface.co"


def library() -> ModuleType:
    """huggingface_hub. Raises: CocktailError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.constants  # the package loads its parts when they are asked for
    except ImportError as error:
        raise CocktailError("models of the Hub need huggingface_hub: pip install huggingface_hub") from error
    return huggingface_hub


@contextmanager
def explained(repo: str, revision: str | None = None, writing: bool = False) -> Iterator[None]:
    """Turns what huggingface_hub raises into a CocktailError; writing: something is sent, not fetched."""
    library()
    from huggingface_hub.errors import HTTPError, XetDownloadError

    try:
        yield
    except CocktailError:
        raise
    except (HTTPError, XetDownloadError, OSError, ValueError, RuntimeError) as error:
        raise CocktailError(reason(error, repo, revision, writing)) from error


def reason(error: BaseException, repo: str, revision: str | None, writing: bool = False) -> str:
    """One sentence or two about an error of huggingface_hub."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return reason(error.__cause__, repo, revision, writing)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} is no path here and not in the cache, and HF_HUB_OFFLINE forbids asking the Hub; unset it once."
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms at {SITE}/{repo}, then {SIGN_IN}."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision or 'main'!r}; expected a branch, a tag or a commit of it."
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"{repo} needs a signed-in user; {SIGN_IN}."
    if isinstance(error, errors.HfHubHTTPError):
        return _answered(error, repo, writing)
    if isinstance(error, errors.HTTPError):
        return f"{repo} is no path here, and the connection to the Hub failed ({_short(error)}); check the network."
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, errors.HTTPError):  # of an upload in a thread
        return reason(error.__cause__, repo, revision, writing)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or error}"
    return f"{repo}: {_short(error)}. Try again."


def unavailable(error: BaseException) -> bool:
    """Whether the Hub could not be asked or answers nobody at the moment: then a kept copy has to do."""
    from huggingface_hub import errors

    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    return status == 0 or status == 429 or status >= 500


def _answered(error: BaseException, repo: str, writing: bool) -> str:
    """What a status of the Hub means."""
    status = error.response.status_code
    if status == 401 and "invalid" in str(error).lower() and "credentials" in str(error).lower():
        return f"the Hub does not know your token (asked for {repo}); {SIGN_IN} again."
    if status in (401, 404) and writing:
        return f"{repo} cannot be written by somebody who is not signed in, or is not yours; {SIGN_IN}."
    if status in (401, 404):
        return f"{repo} is no path here, and on the Hub it does not exist or is private. Check the name, or {SIGN_IN}."
    if status == 403:
        need = "one that may write" if writing else "one that may read it"
        return f"the Hub refuses {repo} to your token; {need} is needed: {SIGN_IN}."
    if status == 429:
        wait = error.response.headers.get("Retry-After", "")
        return f"the Hub says that too many requests came from here; try {repo} again " + (
            f"in {wait} seconds." if wait.isdigit() else f"in some minutes, or {SIGN_IN} for a higher limit."
        )
    if status >= 500:
        return f"the Hub is in trouble (status {status}); try {repo} again later."
    return f"the Hub refuses {repo} (status {status}): {_short(error)}"


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
