"""An operation of the API: what it is for, what it takes, what it answers, with an example."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from haru.accounts.models import Scope
from haru.web.api.reference.schemas import TEXT, Schema

SITE = "example.com"  # of the examples


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the path or of the query string."""

    name: str
    meaning: str
    schema: Schema = field(default_factory=lambda: TEXT)
    example: Any = None  # None: it is left out of the example
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    name: str  # unique
    tag: str
    method: str
    path: str
    summary: str
    text: str = ""
    scopes: tuple[Scope, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    form: bool = False  # whether the body may be a form as well
    sent: Any = None  # the body of the example
    answers: Schema
    answered: Any  # what the example is answered
    missing: str = ""  # when 404 is answered; "" when it is not
    files: tuple[
        str, ...
    ] = ()  # the media types of the files that it answers with, the first as the example; () is JSON


STATS, SITES, GOALS, LINKS = "Statistics", "Sites", "Goals", "Shared links"
SEGMENTS, ANNOTATIONS = "Segments", "Annotations"
READ, WRITE = (Scope.STATS_READ,), (Scope.SITES_WRITE,)
EITHER = READ + WRITE

SITE_ID = Parameter("site_id", "The site's domain.", example=SITE, required=True)
