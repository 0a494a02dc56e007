"""What a password has to be: Django's four judges behind one sentence, instead of a list of four beside every field."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MINIMUM_LENGTH = 10

_JUDGES: tuple[Any, ...] = (
    password_validation.MinimumLengthValidator(MINIMUM_LENGTH),
    password_validation.UserAttributeSimilarityValidator(user_attributes=["email"]),
    password_validation.CommonPasswordValidator(),
    password_validation.NumericPasswordValidator(),
)


class GoodPassword:
    """Long enough, not common, not all digits and not the person's own address."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise `ValidationError` with every fault of the password."""
        faults: list[ValidationError] = []
        for judge in _JUDGES:
            try:
                judge.validate(password, user)
            except ValidationError as error:
                faults.append(error)
        if faults:
            raise ValidationError(faults)

    def get_help_text(self) -> str:
        """What a person should know before choosing one."""
        return _("At least %(length)d characters; several words are better than one.") % {"length": MINIMUM_LENGTH}
