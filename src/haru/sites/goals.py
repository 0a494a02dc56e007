"""The goals of a site: making, finding and deleting them, and the site as the stats know it."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction

from haru.collect import exclusions
from haru.events.text import is_storable
from haru.sites.models import Goal, Site
from haru.sites.registry import SiteError
from haru.stats.plan import StatsSite
from haru.stats.vocabulary import goals as stats

MAX_NAME = 120  # characters, of a goal and of its event
MAX_SCROLL = 100  # per cent of a page
MAX_GOALS = 500  # of one site: every question about the site carries them


class GoalErrors(SiteError):
    """A goal cannot be made as asked; `faults` has a sentence for each field at fault."""

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__(" ".join(faults.values()))


def stats_site(site: Site) -> StatsSite:
    """What answers must know of the site, its goals included. Asks the accounts database."""
    return StatsSite(site.pk, site.timezone, goals_of(site))


def goals_of(site: Site) -> tuple[stats.Goal, ...]:
    """The site's goals by name, as the stats know them."""
    return tuple(stats.Goal(goal.name, goal.event, goal.page, goal.currency, goal.scroll) for goal in site.goals.all())


def add_goal(
    site: Site, *, event: str = "", page: str = "", scroll: int | None = None, name: str = "", currency: str = ""
) -> Goal:
    """A new goal; one that is just so is found instead.

    `scroll` is the per cent of the page that must be scrolled to; None is a goal that a pageview reaches. When empty
    `name` is `event`, "Visit " and `page`, or "Scroll 50% on " and `page`. Raises `GoalErrors`, which names the fields
    at fault.
    """
    event, page, name, currency = event.strip(), page.strip(), name.strip(), currency.strip().upper()
    faults = _faults(event, page, name, currency) | _scroll_faults(page, scroll)
    if faults:
        raise GoalErrors(faults)
    same = site.goals.filter(event=event, page=page, scroll=scroll)
    found = (same.filter(name=name) if name else same).first()
    if found is not None:
        return found
    name = name or event or (f"Visit {page}" if scroll is None else f"Scroll {scroll}% on {page}")
    if len(name) > MAX_NAME:
        raise GoalErrors({"name": f"Give the goal a name of at most {MAX_NAME} characters."})
    if site.goals.count() >= MAX_GOALS:
        raise GoalErrors({"name": f"The site has {MAX_GOALS} goals, which is the most: delete one first."})
    try:
        with transaction.atomic():
            return site.goals.create(name=name, event=event, page=page, scroll=scroll, currency=currency)
    except IntegrityError:
        raise GoalErrors({"name": f'There is already another goal named "{name}": choose another name.'}) from None


def delete_goal(site: Site, pk: int) -> None:
    """Delete one of the site's goals; events that reached it stay. Raises `SiteError` when there is none."""
    deleted, _ = site.goals.filter(pk=pk).delete()
    if not deleted:
        raise SiteError("The site has no such goal.")


def peers_page(page: str) -> str:
    """A page as peers write it, in the form of Haru's own settings: a star stands for any text there, slashes too."""
    return re.sub(r"\*+", "**", page)


def _scroll_faults(page: str, scroll: int | None) -> dict[str, str]:
    if scroll is not None and not 0 <= scroll <= MAX_SCROLL:
        return {"scroll": f"Give the depth of the scroll in whole per cent of the page, from 0 to {MAX_SCROLL}."}
    if scroll is not None and not page.strip():
        return {"scroll": "Only a page is scrolled: give its path too, or leave the depth of the scroll empty."}
    return {}


def _faults(event: str, page: str, name: str, currency: str) -> dict[str, str]:
    faults: dict[str, str] = {}
    if bool(event) == bool(page):
        faults["event" if not event else "page"] = "Give the name of an event or the path of a page, one of the two."
    if len(event) > MAX_NAME:
        faults["event"] = f"The name of an event has at most {MAX_NAME} characters."
    if event in {"pageview", "engagement"}:
        faults["event"] = f"Every visit has events named {event}: give a custom event, or the path of a page."
    if page:
        try:
            exclusions.read_page(page)
        except exclusions.BadRules as error:
            faults["page"] = error.sentences[0]
    if len(name) > MAX_NAME:
        faults["name"] = f"Give the goal a name of at most {MAX_NAME} characters."
    if not is_storable(event + page + name):
        faults["name"] = "There is a character in it that no text has: leave it out."
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        faults["currency"] = f'"{currency[:10]}" is not the code of a currency: write three letters such as EUR.'
    elif currency and page:
        faults["currency"] = "Only events bring revenue: leave the currency of a page empty."
    return faults
