"""What the bodies of the operations hold: the structs that check them, and describe them in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from haru.collect.exclusions import MAX_PATTERN
from haru.events.text import is_storable
from haru.sites import annotations as notes
from haru.sites import domain, goals, links, segments
from haru.web.api.endpoint import Faulty, shortened
from haru.web.api.reference.schemas import Schema

Domain = Annotated[str, Meta(min_length=1, max_length=domain.MAX_TEXT)]
SiteId = Annotated[Domain, Meta(description="The site's domain.")]
# That it begins with a slash `haru.collect.exclusions` checks, with what else a page may be.
Page = Annotated[str, Meta(max_length=MAX_PATTERN, extra_json_schema={"pattern": r"^\s*/"})]


class SiteBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new site."""

    domain: Annotated[Domain, Meta(description="Such as example.com; unique in an installation.")]
    timezone: Annotated[str, Meta(description="As the IANA names it.")] = "UTC"


class SiteChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a site gets in the place of what it has; what is left out stays."""

    domain: Annotated[Domain | None, Meta(description="Such as example.com; unique in an installation.")] = None
    timezone: Annotated[str | None, Meta(description="As the IANA names it.")] = None


class GoalBody(msgspec.Struct, forbid_unknown_fields=True):
    """A goal: what is needed beside the first two depends on the type."""

    site_id: SiteId
    goal_type: Literal["event", "page", "scroll"]
    event_name: Annotated[
        Annotated[str, Meta(max_length=goals.MAX_NAME)] | None,
        Meta(description="Of type event: the name of a custom event."),
    ] = None
    page_path: Annotated[
        Page | None,
        Meta(description="Of type page and scroll: a whole path. * stands for any text, and is kept as **."),
    ] = None
    page_pattern: Annotated[
        Page | None,
        Meta(description="In the place of page_path: * stands for text without a slash, ** for any text."),
    ] = None
    scroll_threshold: Annotated[
        Annotated[int, Meta(ge=0, le=goals.MAX_SCROLL)] | None,
        Meta(description="Of type scroll: the per cent of the page that is scrolled to at least."),
    ] = None
    display_name: Annotated[
        Annotated[str, Meta(max_length=goals.MAX_NAME)] | None,
        Meta(description="How it is shown and filtered by; else made of the event's name, or of the path."),
    ] = None
    currency: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z]{3}$", examples=["EUR"])] | None,
        Meta(description="ISO 4217, of the revenue that the event brings."),
    ] = None


class SharedLinkBody(msgspec.Struct, forbid_unknown_fields=True):
    """A shared link."""

    site_id: SiteId
    name: Annotated[str, Meta(min_length=1, max_length=links.MAX_NAME, description="What the link is for.")]
    password: Annotated[
        Annotated[str, Meta(max_length=links.MAX_PASSWORD)] | None,
        Meta(description="Asked of everyone who opens the link."),
    ] = None


Trees = Annotated[
    list[Any],
    Meta(
        min_length=1,
        description="As in the query, without segments; all of them must hold.",
        extra_json_schema={"items": {"$ref": "#/components/schemas/Filter"}},
    ),
]
SegmentName = Annotated[
    str, Meta(min_length=1, max_length=segments.MAX_NAME, description="Once among the site's, and among a person's.")
]


class SegmentBody(msgspec.Struct, forbid_unknown_fields=True):
    """Filters under a name."""

    site_id: SiteId
    name: SegmentName
    filters: Trees
    personal: Annotated[
        bool, Meta(description="Whether it is yours alone; else it is the site's, which needs a role that manages it.")
    ] = True


class SegmentChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a segment gets in the place of what it has; what is left out stays."""

    site_id: SiteId
    name: SegmentName | None = None
    filters: Trees | None = None
    personal: Annotated[bool | None, Meta(description="Whether it is yours alone, or the site's.")] = None


At = Annotated[str, Meta(examples=["2026-01-31T10:00:00+01:00"], description="The instant, with its offset.")]
Note = Annotated[str, Meta(min_length=1, max_length=notes.MAX_TEXT, description="What happened.")]


class AnnotationBody(msgspec.Struct, forbid_unknown_fields=True):
    """A note at an instant."""

    site_id: SiteId
    at: At
    text: Note
    personal: Annotated[
        bool, Meta(description="Whether it is yours alone; else it is the site's, which needs a role that manages it.")
    ] = True


class AnnotationChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What an annotation gets in the place of what it has; what is left out stays."""

    site_id: SiteId
    at: At | None = None
    text: Note | None = None
    personal: Annotated[bool | None, Meta(description="Whether it is yours alone, or the site's.")] = None


_, SCHEMAS = msgspec.json.schema_components(
    [
        SiteBody,
        SiteChangeBody,
        GoalBody,
        SharedLinkBody,
        SegmentBody,
        SegmentChangeBody,
        AnnotationBody,
        AnnotationChangeBody,
    ],
    ref_template="#/components/schemas/{name}",
)


def read(given: Mapping[str, Any], struct: type[msgspec.Struct]) -> tuple[dict[str, Any], list[str]]:
    """The fields of a body that are given, as the struct has them, and a sentence for each that is faulty or missing.

    An empty text is as good as none, and numbers may be texts, as they are in a form.
    """
    fields = msgspec.structs.fields(struct)
    known = [field.name for field in fields]
    faults = [f"#/{shortened(name)}: Unknown; known are {', '.join(known)}" for name in given if name not in known]
    values: dict[str, Any] = {}
    for field in fields:
        value = given.get(field.name)
        if value is None or value == "":
            if field.required:
                faults.append(f"#/{field.name}: This is required")
        elif isinstance(value, str) and not is_storable(value):
            faults.append(f"#/{field.name}: There is a character in it that no text has")
        else:
            try:
                values[field.name] = msgspec.convert(value, field.type, strict=False)
            except msgspec.ValidationError:
                faults.append(f"#/{field.name}: {_remedy(SCHEMAS[struct.__name__]['properties'][field.name])}")
    return values, faults


def whole(given: Mapping[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a body without a fault. Raises `Faulty`."""
    values, faults = read(given, struct)
    if faults:
        raise Faulty(faults)
    return values


def _remedy(schema: Schema) -> str:
    """What to give, in words."""
    schema = schema.get("anyOf", [schema])[0]
    if "enum" in schema:
        return f"Give one of {', '.join(schema['enum'])}"
    if schema["type"] == "array":
        return "Give a list of at least one"
    if schema["type"] == "boolean":
        return "Give true or false"
    if schema["type"] == "integer":
        return f"Give a whole number from {schema['minimum']} to {schema['maximum']}"
    if "examples" in schema:
        return f"Give a text such as {schema['examples'][0]}"
    return f"Give a text of at most {schema['maxLength']:,} characters" if "maxLength" in schema else "Give a text"
