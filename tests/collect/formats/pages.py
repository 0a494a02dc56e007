"""A format of its own: pages and their keys in lines, answered line by line; and `haru` with it in the table."""

from __future__ import annotations

from haru.cli import main
from haru.collect.formats import FORMATS
from haru.collect.formats.format import Answer, Request
from haru.collect.hit import Hit
from haru.events.refusals import Refusal, Refused

path = b"/pages"


def read(request: Request) -> list[Hit]:
    """`/a` or `/a key` a line."""
    hits = []
    for line in request.body.decode().splitlines():
        page, _, key = line.partition(" ")
        hit = request.hit(page)
        hit.key = key
        if not page.startswith("/"):
            raise Refused(Refusal.INVALID, f"{page} is no page")
        hits.append(hit)
    return hits


def answer(outcomes: list[Refused | None]) -> Answer:
    """`counted` or the reason, a line for each page."""
    lines = ["counted" if refused is None else refused.sentence or refused.reason for refused in outcomes]
    return Answer(202, (b"content-type", b"text/plain"), body="\n".join(lines).encode())


if __name__ == "__main__":
    from tests.collect.formats import pages

    FORMATS[pages.path] = pages
    main()
