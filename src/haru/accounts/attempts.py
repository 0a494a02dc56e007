"""How often passwords may be tried, so that guessing is slow and nobody can lock somebody else out.

Wrong passwords are counted three times, in memory (`ACCOUNT_RATE_LIMITS` has the figures): by network, by account and
network together, and by account. The last bounds whoever guesses from many networks: when it is reached, only networks
and browsers from which the account was signed in to before may try. A new password begins all counts of an account
again, and a link by mail signs in without any of them.
"""

from __future__ import annotations

import hashlib

from allauth.core import ratelimit
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponseBase

from haru.accounts.models import User
from haru.collect.address import grouped

COOKIE = "haru_known"
_SALT = "haru.accounts.attempts"
_KNOWN_SECONDS = 90 * 24 * 3600


def key_of(email: str, address: str) -> str:
    """What tries for an account from the network of an address are counted by: IPv4 addresses, /64 networks of IPv6."""
    return f"{_account(email)}/{grouped(address).hex()}"


def may_try(request: HttpRequest, email: str, address: str) -> bool:
    """Whether tries for this account are few, or the network or the browser signed in to it before."""
    within = ratelimit.consume(request, action="login_guessed", key=_account(email), dry_run=True)
    return bool(within) or _is_known(request, email, address)


def count(request: HttpRequest, email: str) -> None:
    """A password was wrong."""
    ratelimit.consume(request, action="login_guessed", key=_account(email))


def remember(user: User, address: str, response: HttpResponseBase) -> None:
    """The person signed in: what they signed in from may try again, whatever others do."""
    caches["networks"].set(_network(user.email, address), True, _KNOWN_SECONDS)
    response.set_signed_cookie(
        COOKIE,
        str(user.pk),
        salt=_SALT,
        max_age=_KNOWN_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _is_known(request: HttpRequest, email: str, address: str) -> bool:
    if caches["networks"].get(_network(email, address)):
        return True
    account = request.get_signed_cookie(COOKIE, None, salt=_SALT, max_age=_KNOWN_SECONDS)
    return account is not None and User.objects.filter(email=email, pk=account).exists()


def _account(email: str) -> str:
    """The account and its password: what was counted against another password is void."""
    password = User.objects.filter(email=email).values_list("password", flat=True).first() or ""
    return f"{email}/{hashlib.sha256(password.encode()).hexdigest()}"


def _network(email: str, address: str) -> str:
    return hashlib.sha256(f"{email}/{grouped(address).hex()}".encode()).hexdigest()
