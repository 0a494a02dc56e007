"""What `make run` has ready: an account everyone knows and a demo site. Never on a server that others reach."""

from __future__ import annotations

from haru.accounts import registry as accounts
from haru.accounts.models import User
from haru.collect.address import is_loopback
from haru.collect.sites import Sites
from haru.demo import traffic
from haru.settings import BadSetting, Settings
from haru.sites import registry as sites
from haru.sites.models import Site
from haru.spool.spool import Spool

EMAIL = "dev@haru.local"
PASSWORD = "devsecret123456"  # noqa: S105  # no secret: the README tells everyone, and a real server refuses it


def prepare(settings: Settings, spool: Spool, now: int) -> bool:
    """On an installation without users and sites: make the account and a demo site with 90 days of traffic.

    Needs Django set up. Answers whether anything was made. Raises `BadSetting` when others could reach it.
    """
    if not is_loopback(settings.host):
        raise BadSetting(
            f"HARU_HOST: {settings.host} can be reached by others and the development account's password is known to "
            "everyone: leave HARU_HOST at 127.0.0.1, or use `haru serve` without --dev."
        )
    if User.objects.exists() or Site.objects.exists():
        return False
    user = accounts.create_user(EMAIL, PASSWORD)
    site = sites.create_site(traffic.DOMAIN, traffic.TIMEZONE, user)
    known = Sites(settings.data_dir).by_domain(site.domain)
    assert known is not None  # what collect knows follows each change of a site
    traffic.fill(settings, spool, known, now)
    return True


def refuse_known_password() -> None:
    """Raise `BadSetting` while the development account can be signed in to with the password everyone knows."""
    user = User.objects.filter(email=EMAIL, is_active=True).first()
    if user is not None and user.check_password(PASSWORD):
        raise BadSetting(
            f"This installation has the account {EMAIL} with the password that the README tells everyone: run "
            f"`haru user password {EMAIL}` or `haru user remove {EMAIL}`, or serve with --dev on 127.0.0.1."
        )
