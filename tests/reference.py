"""A second implementation of every number, from docs/metrics.md, slow and plain: it shares no code with `haru.stats`.

It takes stored events as dictionaries, a query as the JSON that the API takes and the site's goals as dictionaries, and
answers `{"rows": [(dimensions, metrics, counterpart)], "total": n, "labels": [...], "period": (start, end)}`.
"""

from __future__ import annotations

import calendar
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CITIES = {0: "", 2950159: "Berlin", 2643743: "London", 6058560: "London"}
COUNTRIES = {"DE": "Germany", "US": "United States", "AX": "Åland Islands"}
EVENT_COLUMNS = {"event:page": "path", "event:hostname": "hostname", "event:name": "name"}
VISIT_FACTS = {
    "visit:entry_page": ("first", "path"),
    "visit:exit_page": ("last", "path"),
    "visit:entry_page_hostname": ("first", "hostname"),
    "visit:exit_page_hostname": ("last", "hostname"),
}


def local(zone, ms):
    return (EPOCH + timedelta(milliseconds=ms)).astimezone(zone)


def ms_of(at):
    return (at - EPOCH) // timedelta(milliseconds=1)


# Periods


@cache
def day_start(zone, day):
    """The first instant whose local date is this day or later, looked for in steps of a quarter of an hour."""
    at = ms_of(datetime(day.year, day.month, day.day, tzinfo=UTC)) - 30 * HOUR
    while local(zone, at).date() < day:
        at += 15 * MINUTE
    return at


def month_shift(day, months):
    for _ in range(abs(months)):
        if months > 0:
            day = (day.replace(day=28) + timedelta(4)).replace(day=1)
        else:
            day = (day.replace(day=1) - timedelta(1)).replace(day=1)
    return day


def years_back(day):
    last = calendar.monthrange(day.year - 1, day.month)[1]
    return date(day.year - 1, day.month, min(day.day, last))


def period_of(date_range, zone, now, events):
    """(start, end, first day, last day); the end is not included; the days are None for a range of instants."""
    today = local(zone, now).date()
    if isinstance(date_range, list):
        first, last = date_range
        if len(first) == 10:
            return whole_days(zone, date.fromisoformat(first), date.fromisoformat(last))
        end = ms_of(datetime.fromisoformat(last))
        return ms_of(datetime.fromisoformat(first)), end + (1 if "." in last else 1000), None, None
    if date_range in ROLLING:
        return last_buckets(zone, now, *ROLLING[date_range]), now + 1, None, None
    if date_range == "day":
        return whole_days(zone, today, today)
    if date_range == "yesterday":
        return whole_days(zone, today - timedelta(1), today - timedelta(1))
    if date_range == "month":
        return whole_days(zone, today.replace(day=1), month_shift(today, 1) - timedelta(1))
    if date_range == "year":
        return whole_days(zone, date(today.year, 1, 1), date(today.year, 12, 31))
    if date_range == "all":
        first = min([today, *(local(zone, event["at"]).date() for event in events)])
        return whole_days(zone, first, today)
    if date_range.endswith("mo"):
        month = today.replace(day=1)
        return whole_days(zone, month_shift(month, -int(date_range[:-2])), month - timedelta(1))
    return whole_days(zone, today - timedelta(int(date_range[:-1])), today - timedelta(1))


ROLLING = {"realtime": ("minute", 30), "24h": ("hour", 24)}


def last_buckets(zone, at, unit, count):
    """The start of the first of so many buckets, looked for in full steps back from the last."""
    step = MINUTE if unit == "minute" else 15 * MINUTE
    names = set()
    at = at // step * step
    while True:
        names.add(bucket(zone, at, unit))
        if len(names) > count:
            return at + step
        at -= step


def whole_days(zone, first, last):
    return day_start(zone, first), day_start(zone, last + timedelta(1)), first, last


def comparison_period(comparison, date_range, period, zone, now, events):
    start, end, first, last = period
    mode = comparison["mode"]
    if mode == "custom":
        other = period_of(comparison["date_range"], zone, now, events)
    elif first is not None and mode == "year_over_year":
        other = whole_days(zone, years_back(first), years_back(last))
    elif date_range in ("month", "year") or str(date_range).endswith("mo"):
        months = (last.year - first.year) * 12 + last.month - first.month + 1
        other = whole_days(zone, month_shift(first, -months), first - timedelta(1))
    elif first is not None:
        other = whole_days(zone, first - (last - first) - timedelta(1), first - timedelta(1))
    elif mode == "year_over_year":
        # Clocks that go back may show the end earlier than the start.
        begin = shown_at(zone, start, years=1)
        other = (begin, max(begin, shown_at(zone, end - 1, years=1)) + 1, None, None)
    elif isinstance(date_range, str) and date_range in ROLLING:
        other = (last_buckets(zone, start - 1, *ROLLING[date_range]), start, None, None)
    else:
        other = (start - (end - start), start, None, None)
    if not comparison.get("match_day_of_week"):
        return other
    days = first is not None and other[2] is not None
    begin = first if days else local(zone, start).date()
    other_begin = other[2] if days else local(zone, other[0]).date()
    choices = range(7) if mode == "previous_period" else [0, 1, -1, 2, -2, 3, -3]
    back = next(n for n in choices if (other_begin - timedelta(n)).weekday() == begin.weekday())
    if days:
        return whole_days(zone, other_begin - timedelta(back), other_begin - timedelta(back) + (last - first))
    moved = shown_at(zone, other[0], days=back)
    return moved, moved + (end - start), None, None


def part_until(zone, period, other, now):
    """The other period, to the day as many after its first and the time of day at which this one is now."""
    first, other_first = (
        datetime.combine(each[2], time()) if each[2] else local(zone, each[0]).replace(tzinfo=None)
        for each in (period, other)
    )
    end = earliest(zone, other_first + (local(zone, now).replace(tzinfo=None) - first)) + 1
    return other[0], max(other[0], min(other[1], end)), None, None


def shown_at(zone, ms, years=0, days=0):
    """The instant at which clocks showed the same, so many years or days before."""
    wall = local(zone, ms).replace(tzinfo=None)
    day = wall.date() - timedelta(days)
    if years:
        day = years_back(day)
    return earliest(zone, datetime.combine(day, wall.time()))


def earliest(zone, wanted):
    """The first instant at which clocks show this, or when they never do something later."""
    guess = ms_of(wanted.replace(tzinfo=UTC))
    # Clocks that show it, tried with every offset there is; else the first instant at which they show something later.
    shown = [guess - offset * 15 * MINUTE for offset in range(-60, 61)]
    right = [at for at in sorted(shown) if local(zone, at).replace(tzinfo=None) == wanted]
    if right:
        return right[0]
    at = guess // (15 * MINUTE) * (15 * MINUTE) - 15 * HOUR
    while local(zone, at).replace(tzinfo=None) < wanted:
        at += 15 * MINUTE
    return at


# Buckets


def bucket(zone, ms, unit):
    at = local(zone, ms).replace(tzinfo=None)
    if unit == "minute":
        return at.strftime("%Y-%m-%d %H:%M:00")
    if unit == "hour":
        return at.strftime("%Y-%m-%d %H:00:00")
    day = at.date()
    if unit == "week":
        day -= timedelta(day.weekday())
    if unit == "month":
        day = day.replace(day=1)
    return day.isoformat()


def label(zone, ms, unit, period):
    name = bucket(zone, ms, unit)
    return max(name, local(zone, period[0]).date().isoformat()) if unit == "week" else name


def all_labels(zone, period, unit):
    step = MINUTE if unit == "minute" else 15 * MINUTE
    start, end = period[:2]
    # From one full step to the next nothing changes, so every bucket is met.
    instants = [start, *range(start // step * step + step, end, step)] if start < end else []
    return sorted({label(zone, at, unit, period) for at in instants})


def interval(date_range, period, zone):
    if date_range == "realtime":
        return "minute"
    start, end, first, last = period
    if first is not None:
        hours = ((last - first).days + 1) * 24
    else:
        clocks = [local(zone, at).replace(tzinfo=None) for at in (start, max(start, end - 1))]
        hours = (clocks[1] - clocks[0]) / timedelta(hours=1)
    return "hour" if hours <= 48 else "day" if hours <= 40 * 24 else "week" if hours <= 366 * 24 else "month"


# Visits


def facts_of(events):
    """What all events of a visit tell."""
    by_time = sorted(events, key=lambda event: (event["at"], event["id"]))
    views = [event for event in by_time if event["name"] == "pageview"]
    lasting = [event["at"] for event in by_time if event["name"] != "engagement"]
    acted = [e for e in events if e["name"] not in ("pageview", "engagement") and e["interactive"]]
    return {
        "views": len(views),
        "bounced": len(views) <= 1 and not acted,
        "duration": lasting[-1] - lasting[0] if lasting else 0,
        "first": views[0] if views else {"path": "", "hostname": ""},
        "last": views[-1] if views else {"path": "", "hostname": ""},
    }


def value(dimension, event, facts):
    """The value as people see it."""
    if dimension.startswith("event:props:"):
        return json.loads(event["props"]).get(dimension.removeprefix("event:props:")) or "(none)"
    if dimension in EVENT_COLUMNS:
        found = event[EVENT_COLUMNS[dimension]]
    elif dimension in VISIT_FACTS:
        which, column = VISIT_FACTS[dimension]
        found = facts[which][column]
    elif dimension == "visit:city":
        found = event["city"] or ""
    elif dimension == "visit:city_name":
        found = CITIES.get(event["city"], str(event["city"]))
    elif dimension == "visit:region_name":
        found = {"DE-BE": "Berlin", "AG-03": "Saint George", "VC-04": "Saint George"}.get(
            event["region"], event["region"]
        )
    elif dimension == "visit:country_name":
        found = COUNTRIES.get(event["country"], event["country"])
    else:
        found = event[dimension.removeprefix("visit:").removesuffix("_name")]
    if found != "":
        return found
    return {"visit:source": "Direct / None", "visit:referrer": "Direct / None", "visit:channel": "Direct"}.get(
        dimension, "(not set)"
    )


class Place(NamedTuple):
    """The name of a place in a row: of two places with one name each has its own."""

    name: str
    code: str


def row_value(dimension, event, facts):
    """The value by which events are put into rows."""
    found = value(dimension, event, facts)
    if dimension in ("visit:city_name", "visit:region_name"):
        return Place(found, str(event[dimension.removeprefix("visit:").removesuffix("_name")]))
    return found


# Goals


def reaches(goal, event):
    if goal["event"]:
        return event["name"] == goal["event"]
    if goal["scroll"] is not None:
        deep = event["name"] == "engagement" and event["scroll_depth"] >= goal["scroll"]
        return deep and page_fits(goal["page"], event["path"])
    return event["name"] == "pageview" and page_fits(goal["page"], event["path"])


def page_fits(pattern, path):
    """`**` is any text, `*` any text without a slash; everything else is itself."""
    if not pattern:
        return not path
    if pattern.startswith("**"):
        return any(page_fits(pattern[2:], path[n:]) for n in range(len(path) + 1))
    if pattern.startswith("*"):
        length = len(path.partition("/")[0])
        return any(page_fits(pattern[1:], path[n:]) for n in range(length + 1))
    return path[:1] == pattern[0] and page_fits(pattern[1:], path[1:])


# Filters


class Visits:
    """What filters must know beside the event: its visit's facts, what the visit did in the period, the goals."""

    def __init__(self, facts, inside, goals):
        self.facts = facts
        self.goals = goals
        self.inside = {}
        for event in inside:
            self.inside.setdefault(event["visit_id"], []).append(event)


def holds(tree, event, visits):
    operator = tree[0]
    if operator == "and":
        return all(holds(part, event, visits) for part in tree[1])
    if operator == "or":
        return any(holds(part, event, visits) for part in tree[1])
    if operator == "not":
        return not holds(tree[1], event, visits)
    if operator in ("has_done", "has_not_done"):
        did = any(holds(tree[1], other, visits) for other in visits.inside.get(event["visit_id"], []))
        return did == (operator == "has_done")
    if tree[1] == "event:goal":
        return any(reaches(goal, event) and leaf_holds(tree, goal["name"]) for goal in visits.goals)
    text = str(value(tree[1], event, visits.facts[event["visit_id"]]))
    if tree[1].startswith("event:props:") and text == "(none)" and not operator.startswith("is"):
        return False
    return leaf_holds(tree, text)


def leaf_holds(leaf, text):
    operator, clauses = leaf[0], [str(clause) for clause in leaf[2]]
    sensitive = leaf[3].get("case_sensitive", True) if len(leaf) > 3 else True
    if operator.startswith("matches"):
        found = any(re.search(clause, text, 0 if sensitive else re.IGNORECASE) for clause in clauses)
    else:
        if not sensitive:
            text, clauses = text.lower(), [clause.lower() for clause in clauses]
        if leaf[1] == "visit:referrer" and operator.startswith("is"):
            text, clauses = text.removeprefix("www."), [clause.removeprefix("www.") for clause in clauses]
        found = text in clauses if operator.startswith("is") else any(clause in text for clause in clauses)
    return found != operator.endswith("_not")


def parts(trees):
    """The filters that must all hold."""
    for tree in trees:
        if tree[0] == "and":
            yield from parts(tree[1])
        else:
            yield tree


def looks_at(tree, wanted):
    """Whether a filter looks at such a dimension of the rows themselves."""
    if tree[0] in ("and", "or"):
        return any(looks_at(part, wanted) for part in tree[1])
    if tree[0] == "not":
        return looks_at(tree[1], wanted)
    return tree[0] not in ("has_done", "has_not_done") and wanted(tree[1])


def of_conversions(dimension):
    return dimension == "event:goal" or dimension.startswith("event:props:")


def top_level_pages(trees):
    """The filters on the page that must all hold."""
    for tree in trees:
        if tree[0] == "and":
            yield from top_level_pages(tree[1])
        elif tree[0] not in ("or", "not") and tree[1] == "event:page":
            yield tree


# Numbers


def quotient(numerator, denominator, digits):
    """None, no data, where there is nothing to divide by."""
    if denominator == 0:
        return None
    with localcontext(prec=60):
        exact = Decimal(numerator) / Decimal(denominator)
        return float(exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN))


def rounded_to(digits, exact):
    with localcontext(prec=60):
        return float(exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN))


def revenue(events, mean):
    """`{currency, value}` for each currency, in the order of currencies."""
    amounts = {}
    for event in events:
        if event["revenue_amount"]:
            amounts.setdefault(event["revenue_currency"], []).append(Decimal(event["revenue_amount"]))
    found = []
    for currency in sorted(amounts):
        with localcontext(prec=60):
            total = sum(amounts[currency])
            exact = total / len(amounts[currency]) if mean else total
        found.append({"currency": currency, "value": rounded_to(2, exact)})
    return found or None


def time_on_page(events):
    reading = [event for event in events if event["name"] == "engagement"]
    visits = {event["visit_id"] for event in reading}
    return quotient(sum(event["engaged_ms"] for event in reading), 1000 * len(visits), 0)


def scroll_depth(events):
    deepest = {}
    for event in events:
        if event["name"] == "engagement" and event["scroll_depth"] >= 0:
            deepest[event["visit_id"]] = max(event["scroll_depth"], deepest.get(event["visit_id"], 0))
    return quotient(sum(deepest.values()), len(deepest), 0)


def numbers(metrics, events, visits, judged, exited, wholes):
    """The metrics of a row: `events` and the facts of `visits` that count in it.

    `judged` are those that may bounce, `exited` those that ended on the page; `wholes` is what shares divide by.
    """
    visitors = len({event["visitor_id"] for event in events})
    known = {
        "visitors": visitors,
        "visits": len({event["visit_id"] for event in events}),
        "pageviews": sum(event["name"] == "pageview" for event in events),
        "events": sum(event["name"] != "engagement" for event in events),
        "views_per_visit": quotient(sum(v["views"] for v in visits), len(visits), 2),
        "bounce_rate": quotient(100 * sum(v["bounced"] for v in judged), len(judged), 0),
        "visit_duration": quotient(sum(v["duration"] for v in visits), 1000 * len(visits), 0),
        "time_on_page": time_on_page(events),
        "scroll_depth": scroll_depth(events),
        "exit_rate": quotient(100 * len(exited), wholes["page_views"], 1),
        "percentage": quotient(100 * visitors, wholes["everyone"], 1),
        "conversion_rate": quotient(100 * visitors, wholes["candidates"], 2),
        "group_conversion_rate": quotient(100 * visitors, wholes["row_candidates"], 2),
        "total_revenue": revenue(events, mean=False),
        "average_revenue": revenue(events, mean=True),
    }
    return tuple(known[metric] for metric in metrics)


ASKS_FACTS = {"views_per_visit", "bounce_rate", "visit_duration", "exit_rate"}
# Without data these are null in answers; all others are 0, and sorted as such.
NULL = {"time_on_page", "scroll_depth", "exit_rate", "total_revenue", "average_revenue"}


def visitors_of(events):
    return len({event["visitor_id"] for event in events})


def rows_of(query, events, zone, period, unit, goals=(), also=()):
    """Every row of a period, as {dimensions: metrics}, and `also` these."""
    start, end = period[:2]
    dimensions, metrics = query.get("dimensions", []), query["metrics"]
    by_visit = {}
    for event in events:
        by_visit.setdefault(event["visit_id"], []).append(event)
    facts = {visit: facts_of(members) for visit, members in by_visit.items()}
    inside = [event for event in events if start <= event["at"] < end]
    first_inside = {}
    for event in inside:
        first_inside[event["visit_id"]] = min(event["at"], first_inside.get(event["visit_id"], event["at"]))
    trees = list(parts(query.get("filters", [])))
    known = Visits(facts, inside, goals)

    def chosen_by(filters):
        return [event for event in inside if all(holds(tree, event, known) for tree in filters)]

    chosen = chosen_by(trees)
    pages = [
        tree for tree in trees if tree[0] not in ("or", "not", "has_done", "has_not_done") and tree[1] == "event:page"
    ]
    asked_goals = [tree for tree in trees if looks_at(tree, lambda name: name == "event:goal")]
    rows_for = [goal for goal in goals if all(leaf_holds(tree, goal["name"]) for tree in asked_goals)]

    def keys(event, at, names):
        """The rows that an event counts in: one, but for goals, of which it reaches any number."""
        found = [()]
        for name in names:
            if name.startswith("time"):
                values = [label(zone, at, name.partition(":")[2] or unit, period)]
            elif name == "event:goal":
                values = [goal["name"] for goal in rows_for if reaches(goal, event)]
            else:
                values = [row_value(name, event, facts[event["visit_id"]])]
            found = [(*row, value) for row in found for value in values]
        return found

    def grouped(filters, names):
        """Events by row."""
        found = {}
        for event in chosen_by(filters):
            for row in keys(event, event["at"], names):
                found.setdefault(row, []).append(event)
        return found

    without_goals = [tree for tree in trees if not looks_at(tree, of_conversions)]
    by_group = grouped(without_goals, [name for name in dimensions if name != "event:goal"])
    views_of = ["event:page" if name == "visit:exit_page" else name for name in dimensions]
    by_page = grouped([tree for tree in trees if not looks_at(tree, lambda name: name == "visit:exit_page")], views_of)

    happened, belonged = {}, {}
    if not dimensions:
        happened[()], belonged[()] = [], {}
    asks_facts = ASKS_FACTS & set(metrics)
    asks_counts = set(metrics) - asks_facts
    for event in chosen:
        visit = event["visit_id"]
        if asks_counts:
            for row in keys(event, event["at"], dimensions):
                happened.setdefault(row, []).append(event)
        if asks_facts:
            for row in keys(event, first_inside[visit], dimensions):
                belonged.setdefault(row, {})[visit] = facts[visit]
    rows = {}
    for row in {**happened, **belonged, **dict.fromkeys(also)}:
        exited = visits = list(belonged.get(row, {}).values())
        if "event:page" in dimensions:
            page = row[dimensions.index("event:page")]
            exited = [visit for visit in visits if (visit["last"]["path"] or "(not set)") == page]
            visits = [visit for visit in visits if (visit["first"]["path"] or "(not set)") == page]
        judged = [v for v in visits if all(leaf_holds(leaf, v["first"]["path"] or "(not set)") for leaf in pages)]
        group = tuple(part for part, name in zip(row, dimensions, strict=True) if name != "event:goal")
        wholes = {
            "everyone": visitors_of(chosen),
            "candidates": visitors_of(chosen_by(without_goals)),
            "row_candidates": visitors_of(by_group.get(group, [])),
            "page_views": sum(event["name"] == "pageview" for event in by_page.get(row, [])),
        }
        rows[row] = numbers(metrics, happened.get(row, []), visits, judged, exited, wholes)
    return rows


def by_metric(index, name):
    def key(row):
        found = row[1][index]
        if isinstance(found, list):
            return (1, found[0]["currency"], found[0]["value"])
        if found is None:
            return (0,) if name in NULL else (1, "", 0)
        return (1, "", found)

    return key


def plain(row):
    return tuple(part.name if isinstance(part, Place) else part for part in row)


def by_text(index):
    return lambda row: str(plain(row[0])[index])


def ordered(query, rows):
    dimensions, metrics = query.get("dimensions", []), query["metrics"]
    keys = [tuple(key) for key in query.get("order_by", [])]
    if not keys:
        keys = [(name, "asc") for name in dimensions if name.startswith("time")] + [(metrics[0], "desc")]
    keys += [(name, "asc") for name in dimensions if name not in [key[0] for key in keys]]
    # Places of one name stand in the order of their codes.
    found = sorted(rows.items(), key=lambda row: [part.code for part in row[0] if isinstance(part, Place)])
    for name, direction in reversed(keys):
        key = by_metric(metrics.index(name), name) if name in metrics else by_text(dimensions.index(name))
        found.sort(key=key, reverse=direction == "desc")
    return found


def without_events(query, goals, row):
    """A row with no number of events where all it can speak of are goals of scroll."""
    dimensions, metrics, pair = row
    asked = [tree for tree in parts(query.get("filters", [])) if looks_at(tree, lambda name: name == "event:goal")]
    speaks_of = [[goal for goal in goals if leaf_holds(tree, goal["name"])] for tree in asked]
    if "event:goal" in query.get("dimensions", []):
        name = dimensions[query["dimensions"].index("event:goal")]
        speaks_of.append([goal for goal in goals if goal["name"] == name])
    if any(known and all(goal["scroll"] is not None for goal in known) for known in speaks_of):

        def cut(values):
            return tuple(None if name == "events" else v for name, v in zip(query["metrics"], values, strict=True))

        return dimensions, cut(metrics), pair and (pair[0], cut(pair[1]))
    return row


def answer(events, query, timezone, now, goals=()):
    """The answer to a query about these events of a site with these goals at a moment."""
    zone = ZoneInfo(timezone)
    date_range = query["date_range"]
    period = period_of(date_range, zone, now, events)
    unit = interval(date_range, period, zone)
    include = query.get("include", {})
    dimensions = query.get("dimensions", [])
    times = [name for name in dimensions if name.startswith("time")]
    step = times[0].partition(":")[2] or unit if times else ""
    comparison = include.get("comparisons")
    labelled = times and (include.get("time_labels") or comparison)
    labels = all_labels(zone, period, step) if labelled else None
    result = {"labels": labels, "period": period[:2], "compared": None}
    rows = rows_of(query, events, zone, period, unit, goals)
    pairs = {}
    if comparison:
        other = comparison_period(comparison, date_range, period, zone, now, events)
        if comparison.get("to_now") and period[0] <= now < period[1]:
            other = part_until(zone, period, other, now)
        result["compared"] = other[:2]
        before = rows_of(query, events, zone, other, unit, goals)
        both = list(zip(labels, all_labels(zone, other, step), strict=False)) if times else []
        back = [moved(row, dimensions, {then: label for label, then in both}) for row in before]
        series = [(label,) for label in labels] if len(dimensions) == len(times) == 1 else []
        rows = rows_of(query, events, zone, period, unit, goals, [*series, *(row for row in back if row is not None)])
        if len(dimensions) == len(times) == 1:
            rows = {row: rows[row] for row in series}
        there = {row: moved(row, dimensions, dict(both)) for row in rows}
        there = {row: pair for row, pair in there.items() if pair is not None}
        before = rows_of(query, events, zone, other, unit, goals, there.values())
        pairs = {row: (plain(pair), before[pair]) for row, pair in there.items()}
    found = ordered(query, rows)
    page = query.get("pagination", {})
    offset, limit = page.get("offset", 0), page.get("limit", 10_000)
    result["total"] = len(found)
    rows = [(plain(row), metrics, pairs.get(row)) for row, metrics in found[offset : offset + limit]]
    result["rows"] = [without_events(query, goals, row) for row in rows]
    return result


def moved(row, dimensions, places):
    """A row with its bucket of time as the other period has it; None where it has none."""
    found = [places.get(part) if name.startswith("time") else part for name, part in zip(dimensions, row, strict=True)]
    return None if None in found else tuple(found)
