"""What a merged model inherits: of its sources' licences the strictest is proposed. A proposal, no legal advice.

The order, from free to strict: public domain < permissive < attribution < share-alike < restricted use <
non-commercial < research only < no derivatives < unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PUBLIC, PERMISSIVE, ATTRIBUTION, SHARE_ALIKE, RESTRICTED, NON_COMMERCIAL, RESEARCH, NO_DERIVATIVES, UNKNOWN = range(9)
# Identifiers as the Hugging Face Hub knows them; what it does not know is shared as "other" with a name.
HUB = {"apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "cc0-1.0", "unlicense", "pddl",
       "wtfpl", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
       "cc-by-nc-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
       "cc-by-nc-nd-4.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "openrail",
       "openrail++", "bigscience-openrail-m", "creativeml-openrail-m"}  # fmt: skip
LINKS = {"nvidia-source-code-license": "https://nvlabs.github.io/stylegan2-ada-pytorch/license.html"}
# The first pattern that is found decides; the stricter ones stand first.
KINDS = ((NO_DERIVATIVES, r"\bnd\b|no-?deriv"),
         (RESEARCH, r"nvidia-source-code|research-only|for-research"),
         (NON_COMMERCIAL, r"\bnc\b|non-?commercial"),
         (RESTRICTED, r"rail|llama|responsible"),
         (SHARE_ALIKE, r"\bsa\b|share-?alike|\b[al]?gpl|\bmpl\b"),
         (ATTRIBUTION, r"\bcc-by\b"),
         (PUBLIC, r"\bcc0\b|unlicense|public-domain|\bpddl\b|wtfpl"),
         (PERMISSIVE, r"apache|\bmit\b|\bbsd\b|\bisc\b|zlib"))  # fmt: skip
SAYS = {NON_COMMERCIAL: "allows no commercial use", RESEARCH: "allows research and evaluation only",
        NO_DERIVATIVES: "allows no derivatives, and a merge is one",
        RESTRICTED: "restricts what the model may be used for"}  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """licence: an identifier, or "" where none can be proposed; warnings: sentences on the licences of the sources."""

    licence: str
    warnings: tuple[str, ...] = ()


def identifier(text: object) -> str:
    """A licence as people write it ("CC BY-NC 4.0") in the Hub's manner ("cc-by-nc-4.0"); "" for none."""
    plain = re.sub(r"[^a-z0-9.+]+", "-", str(text or "").lower()).strip("-.")
    return "" if plain in ("unknown", "none", "other", "null", "n-a") else plain


def rank(licence: str) -> int:
    """How strict a licence is, PUBLIC to UNKNOWN, the strictest: what is not recognised."""
    plain = identifier(licence)
    return next((kind for kind, pattern in KINDS if plain and re.search(pattern, plain)), UNKNOWN)


def strictest(sources: Mapping[str, str | None]) -> Proposal:
    """What to propose for a model made from `sources`, a licence (or None) by name of the source.

    None is proposed where a source's licence is unknown, or two of them cannot be kept at once.
    """
    known = {name: identifier(licence) for name, licence in sources.items()}
    warnings = [
        f"The licence of {name} is unknown: ask whoever made it before you share this model."
        for name, licence in known.items() if not licence
    ]  # fmt: skip
    warnings += [
        f"The licence of {name} ({licence}) is not one that this program knows: read it before you share this model."
        for name, licence in known.items() if licence and rank(licence) == UNKNOWN
    ]  # fmt: skip
    for name, licence in known.items():
        if licence and rank(licence) in SAYS:
            warnings.append(f"The licence of {name} ({licence}) {SAYS[rank(licence)]}.")
    # The longer name of one kind is the stricter: cc-by-nc-sa before cc-by-nc.
    ordered = sorted(known.values(), key=lambda licence: (rank(licence), len(licence.split("-")), licence))
    shared = {re.sub(r"-\d[\d.]*$", "", licence) for licence in known.values() if _binds(licence)}
    if len(shared) > 1:
        warnings.append(
            f"{' and '.join(sorted(shared))} each demand that what is made from the model has the same licence; "
            "one model cannot have both. Ask the authors."
        )
    proposable = ordered and all(ordered) and len(shared) < 2
    return Proposal(ordered[-1] if proposable else "", tuple(warnings))


def _binds(licence: str) -> bool:
    """Whether a licence demands itself for what is made from the work."""
    return bool(re.search(dict(KINDS)[SHARE_ALIKE], licence))


def front_matter(licence: str) -> dict[str, str]:
    """The lines about a licence that the Hub reads at the top of README.md; none where it is unknown."""
    plain = identifier(licence)
    if not plain:
        return {}
    if plain in HUB:
        return {"license": plain}
    link = {"license_link": LINKS[plain]} if plain in LINKS else {}
    return {"license": "other", "license_name": plain} | link
