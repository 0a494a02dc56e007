"""Expected errors as one sentence. An error that is not listed here is a fault of Haru and keeps its traceback."""

from __future__ import annotations

FAILED = 1  # exit code; wrong use has 2, which is the command line's own

# By name, so that telling them apart imports nothing: an error whose module was never loaded cannot have been raised.
_SAY_THEMSELVES = frozenset(
    {
        "haru.accounts.registry.AccountError",
        "haru.cli.failure.Failure",
        "haru.transfer.import_log.LogUnreadable",
        "haru.server.control.ControlError",
        "haru.demo.traffic.AlreadyFilled",
        "haru.files.FileUnusable",
        "haru.transfer.export.BadBounds",
        "haru.transfer.import_file.FileUnreadable",
        "haru.spool.spool.SpoolUnavailable",
        "haru.store.protocol.StoreTooNew",
        "haru.store.protocol.StoreUnavailable",
        "haru.transfer.move.MoveRefused",
        "haru.web.project.setup.AccountsTooNew",
        "haru.settings.BadSetting",
        "haru.sites.domain.DomainError",
        "haru.sites.registry.SiteError",
    }
)


class Failure(Exception):
    """A command cannot do what it was asked; the text is a sentence with the remedy."""


def sentence(error: Exception) -> str | None:
    """What to say of an expected error, None for one that nobody expected."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _SAY_THEMSELVES:
        return str(error)
    if "django.db.utils.Error" in names:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"The database of accounts and sites does not answer ({reason}): see HARU_DATABASE_URL and its server."
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}."
    return None
