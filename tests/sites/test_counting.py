"""What of a site is counted: its page, the rules behind it, and the very next request."""

from __future__ import annotations

import re
from html import unescape

import pytest

from haru.collect.sites import Sites
from haru.sites import publish, registry
from haru.sites.registry import SiteError

PAGE = "/sites/example.com/settings/counting"
EVERYTHING = {
    "excluded_addresses": " 203.0.113.9\r\n\r\n2001:DB8:1:2::/64\r\n203.0.113.9",
    "excluded_countries": ["DE", "FR"],
    "excluded_pages": "/admin/**\n/*/preview",
    "allowed_hostnames": "example.com\n*.Example.com",
    "honour_opt_out": "on",
    "rate_limit": "250",
}


def text_of(answer) -> str:
    return unescape(answer.content.decode())


@pytest.fixture
def kept(data_dir, django_capture_on_commit_callbacks):
    """Runs what changes a site, and gives what collect then knows of it."""

    def run(change):
        with django_capture_on_commit_callbacks(execute=True):
            change()
        return Sites(data_dir).by_domain("example.com")

    return run


def test_what_is_saved_is_what_collect_knows_and_the_page_shows(site, owner, sign_in, kept):
    browser = sign_in(owner)
    found = kept(lambda: browser.post(PAGE, EVERYTHING))
    assert found.excluded_addresses == ("203.0.113.9", "2001:db8:1:2::/64")
    assert found.excluded_countries == ("DE", "FR")
    assert found.excluded_pages == ("/admin/**", "/*/preview")
    assert found.allowed_hostnames == ("example.com", "*.example.com")
    assert (found.honour_opt_out, found.rate_limit) == (True, 250)
    page = text_of(browser.get(PAGE))
    assert ">\n203.0.113.9\n2001:db8:1:2::/64</textarea>" in page
    assert ">\n/admin/**\n/*/preview</textarea>" in page
    assert sorted(re.findall(r'value="(\w\w)"[^>]* checked', page)) == ["DE", "FR"]
    assert re.search(r'name="honour_opt_out"[^>]* checked', page)
    assert re.search(r'name="rate_limit" value="250"', page)


def test_an_emptied_form_counts_everyone_again(site, owner, sign_in, kept):
    browser = sign_in(owner)
    assert kept(lambda: browser.post(PAGE, EVERYTHING)).excludes
    found = kept(lambda: browser.post(PAGE, {"rate_limit": ""}))
    assert not found.excludes
    assert found.rate_limit is None


def test_no_limit_is_not_the_installations_limit(site, owner, sign_in, kept):
    assert kept(lambda: sign_in(owner).post(PAGE, {"rate_limit": "0"})).rate_limit == 0


def test_a_new_site_counts_everyone(site, data_dir):
    publish.rewrite()
    found = Sites(data_dir).by_domain("example.com")
    assert not found.excludes
    assert found.rate_limit is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("excluded_addresses", "10.0.0.1\n10.0.0.0/99\noffice", '"10.0.0.0/99" is neither an address nor a network'),
        ("excluded_addresses", "10.0.0.1\noffice", '"office" is neither an address nor a network'),
        ("excluded_pages", "/fine\nadmin", '"admin" is no path: begin it with a slash'),
        ("excluded_pages", "\n".join(f"/{n}" for n in range(101)), "These are 101: at most 100 are possible."),
        ("excluded_countries", ["DE", "XX"], "XX is not one of the available choices"),
        ("allowed_hostnames", "https://example.com/", '"https://example.com/" is no host name'),
        ("rate_limit", "-1", "greater than or equal to 0"),
        ("rate_limit", "many", "Enter a whole number"),
    ],
)
def test_a_faulty_line_is_named_at_its_field_and_nothing_is_saved(site, owner, sign_in, field, value, says):
    answer = sign_in(owner).post(PAGE, {**EVERYTHING, field: value})
    page = text_of(answer)
    assert answer.status_code == 422
    error = page.partition(f'id="id_{field}_error"')[2].partition("</ul>")[0]
    assert says in error
    assert page.count("errorlist") == 1
    if isinstance(value, str) and field != "rate_limit":
        assert f">\n{value}</textarea>" in page  # what was typed is still there to be mended
        assert re.search(rf'<textarea[^>]*name="{field}"[^>]*d-textarea-error', page)
    site.refresh_from_db()
    assert site.excluded_addresses == []
    assert site.rate_limit is None


@pytest.mark.parametrize(
    ("peer", "shown", "rule"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_a_person_sees_and_can_add_the_address_they_come_from(site, owner, sign_in, peer, shown, rule):
    page = text_of(sign_in(owner, REMOTE_ADDR=peer).get(PAGE))
    assert f'Your address is <strong class="break-all">{shown}</strong>' in page
    assert f'data-line="{rule}" data-to="id_excluded_addresses"' in page
    assert "Add my address" in page


def test_a_stranger_cannot_choose_the_address_that_is_shown(site, owner, sign_in):
    page = text_of(sign_in(owner, REMOTE_ADDR="198.51.100.7").get(PAGE, headers={"X-Forwarded-For": "192.0.2.1"}))
    assert "192.0.2.1" not in page
    assert "198.51.100.7" in page


def test_who_is_excluded_is_told_so(site, owner, sign_in):
    registry.set_counting(site, excluded_addresses=["198.51.100.0/24"])
    page = text_of(sign_in(owner, REMOTE_ADDR="198.51.100.7").get(PAGE))
    assert "Your visits are not counted." in page
    assert "Add my address" not in page


def test_who_seems_to_come_from_a_proxy_is_warned(site, owner, sign_in):
    assert "HARU_TRUSTED_PROXIES" in text_of(sign_in(owner, REMOTE_ADDR="10.1.2.3").get(PAGE))
    assert "HARU_TRUSTED_PROXIES" not in text_of(sign_in(owner, REMOTE_ADDR="8.8.8.8").get(PAGE))


def test_where_no_address_is_known_none_is_offered(site, owner, sign_in):
    page = text_of(sign_in(owner, REMOTE_ADDR="").get(PAGE))
    assert "Add my address" not in page


def test_the_settings_lead_there_and_it_leads_back(site, owner, sign_in):
    browser = sign_in(owner)
    assert f'href="{PAGE}"' in text_of(browser.get("/sites/example.com/settings"))
    assert 'href="/sites/example.com/settings"' in text_of(browser.get(PAGE))


def test_countries_are_chosen_by_name(site, owner, sign_in):
    page = text_of(sign_in(owner).get(PAGE))
    labels = re.findall(r'value="\w\w"[^>]*>([^<]+)</label>', page)
    assert len(labels) > 240
    assert labels.index("Austria") < labels.index("Germany") < labels.index("Sweden")


def test_a_viewer_neither_sees_nor_changes_what_is_excluded(site, owner, team_mate, stranger, sign_in):
    registry.set_counting(site, excluded_addresses=["198.51.100.7"])
    for person in (team_mate, stranger):
        browser = sign_in(person)
        for answer in (browser.get(PAGE), browser.post(PAGE, EVERYTHING)):
            assert answer.status_code == 404
            assert "198.51.100.7" not in text_of(answer)
    site.refresh_from_db()
    assert site.excluded_addresses == ["198.51.100.7"]


def test_what_is_not_named_stays(site):
    registry.set_counting(site, excluded_pages=["/a"], rate_limit=7)
    registry.set_counting(site, honour_opt_out=True, excluded_countries=["se"])
    site.refresh_from_db()
    assert (site.excluded_pages, site.rate_limit, site.honour_opt_out) == (["/a"], 7, True)
    assert site.excluded_countries == ["SE"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"excluded_addresses": ["here"]}, '"here" is neither an address'),
        ({"excluded_countries": ["Germany"]}, "write DE"),
        ({"excluded_pages": ["/***"]}, "more than two stars"),
        ({"allowed_hostnames": ["a b"]}, "is no host name"),
        ({"rate_limit": -1}, "from 0 to 1,000,000"),
    ],
)
def test_the_rules_hold_without_the_page_too(site, change, says):
    with pytest.raises(SiteError, match=re.escape(says)):
        registry.set_counting(site, **{"honour_opt_out": True, **change})
    site.refresh_from_db()
    assert site.honour_opt_out is False
