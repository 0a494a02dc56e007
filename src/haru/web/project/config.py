"""Django's settings module. What an operator may choose comes from `haru.settings`; nothing is read here."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from haru import settings
from haru.collect.address import is_loopback
from haru.web.project import database, mail

HARU = settings.current()
HERE = Path(__file__).parents[1]  # haru/web


def _allowed_hosts(base_url: str) -> list[str]:
    """The host of the base URL; on a loopback address also its other names, so that a first look needs no setting."""
    host = urlsplit(base_url).hostname or ""
    loopback = ["localhost", "127.0.0.1", "[::1]"]
    own = f"[{host}]" if ":" in host else host
    return list(dict.fromkeys([own, *loopback])) if is_loopback(host) else [own]


BASE_URL = HARU.base_url
IS_HTTPS = BASE_URL.startswith("https://")
IS_LOOPBACK = is_loopback(urlsplit(BASE_URL).hostname or "")

DEBUG = False
SECRET_KEY = HARU.secret_key
ALLOWED_HOSTS = _allowed_hosts(BASE_URL)
ROOT_URLCONF = "haru.web.urls"
APPEND_SLASH = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.forms",
    "allauth",
    "allauth.account",
    "haru.accounts",
    "haru.sites",
    "haru.web",
]

MIDDLEWARE = [
    "haru.web.project.middleware.TrustedProxies",
    "haru.web.project.middleware.PageHeaders",
    "django.middleware.security.SecurityMiddleware",
    "haru.web.project.middleware.KnownHosts",
    "haru.web.project.middleware.StaticFiles",
    "haru.web.project.middleware.Compression",
    "haru.web.project.middleware.Closed",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "haru.web.project.middleware.UnansweredQuestions",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "haru.sites.context.sites",
            ],
        },
    }
]
FORM_RENDERER = "haru.web.project.forms.Renderer"

DATABASES = {"default": database.configuration(HARU.database_url, HARU.data_dir / "accounts.sqlite3")}

# What is counted for rate limits holds addresses: it lives in this process's memory and nowhere else.
# Networks that somebody signed in from are apart, where whoever guesses cannot push them out.
_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
CACHES = {"default": _MEMORY, "networks": {**_MEMORY, "LOCATION": "networks"}}

# Sessions are rows of a random key and a signed payload: who is signed in, no address and no user agent.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "haru_session"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "haru_csrf"
CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "haru.web.project.errors.csrf_failure"
# Behind a proxy that ends TLS and is not in HARU_TRUSTED_PROXIES the request looks like http; its origin is still ours.
CSRF_TRUSTED_ORIGINS = [BASE_URL]
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# `TrustedProxies` removes this header from every request that no trusted proxy sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_HOST = False
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if IS_HTTPS else 0
X_FRAME_OPTIONS = "DENY"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [{"NAME": "haru.accounts.passwords.GoodPassword"}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"

REGISTRATION = HARU.registration
ACCOUNT_ADAPTER = "haru.accounts.adapter.Adapter"
ACCOUNT_FORMS = {"reset_password_from_key": "haru.accounts.forms.ForgottenPasswordForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
# Requests/time/counted by. They are kept in CACHES, which is memory. `ip` is an IPv4 address or a /64 network; `key` is
# the account with the network in `login_failed`, see `haru.accounts.attempts`, and else the account.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "signup": "20/m/ip",
    "login_guessed": "100/h/key",
    "reset_password": "20/m/ip",
    "reset_mail": "20/h/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    "reauthenticate": "10/m/user",
    "confirm_email": "1/3m/key",
}

for _name, _value in mail.configuration(HARU.email_url).items():
    globals()[_name] = _value
MAILS_ARE_SENT = bool(HARU.email_url)
MAILS_ARE_PRINTED = False  # `haru serve --dev` prints them
DEFAULT_FROM_EMAIL = SERVER_EMAIL = HARU.email_from

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [HERE / "locale"]

# Built files lie in the package itself: whitenoise serves them from here and no copying step is needed.
STATIC_URL = "/static/"
STATIC_ROOT = HERE / "static"

# The process that runs Haru configures logging; Django's own handlers would write a second format.
LOGGING_CONFIG = None
