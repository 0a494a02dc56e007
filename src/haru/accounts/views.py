"""The pages of the email address and of API keys. Everything else under /account/ is allauth's, with our templates."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import send_verification_email_for_user
from allauth.account.models import EmailAddress
from allauth.account.views import LoginView, PasswordResetView, SignupView
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from haru.accounts import addresses
from haru.accounts.forms import KeyForm, NewEmailForm, RegistrationForm
from haru.accounts.models import ApiKey, User
from haru.accounts.registry import AccountError, registration_is_open


class SignedIn(HttpRequest):
    """The request that `login_required` lets through."""

    user: User


class Register(SignupView):  # type: ignore[misc]  # allauth is not typed
    """allauth's page, where it says why it is closed, and whoever was slower than another gets a sentence."""

    form_class = RegistrationForm

    def form_valid(self, form: RegistrationForm) -> HttpResponse:
        """Make the account and sign in."""
        try:
            answer: HttpResponse = super().form_valid(form)
        except AccountError as error:
            if not self.is_open():
                return self.closed()
            form.add_error("email", str(error))
            answer = self.form_invalid(form)
        return answer

    def closed(self) -> HttpResponse:
        """Say why nobody may register."""
        return render(self.request, "account/signup_closed.html", {"registration": settings.REGISTRATION})


class SignIn(LoginView):  # type: ignore[misc]  # allauth is not typed
    """allauth's page, which offers to register where one may."""

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """What the template shows."""
        found: dict[str, Any] = super().get_context_data(**context)
        return {**found, "registration_is_open": registration_is_open()}


class ForgottenPassword(PasswordResetView):  # type: ignore[misc]  # allauth is not typed
    """allauth's page; where no mail can be sent it says what else there is to do, and does nothing."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer the request."""
        if not get_adapter(request).can_mail():
            return render(request, "account/password_reset_no_mail.html")
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)
        return answer


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def email(request: SignedIn) -> HttpResponse:
    """The address one signs in with; POST changes it, sends a link again, or forgets the address that waits."""
    refusal: HttpResponse | None = ratelimit.consume_or_429(request, action="manage_email")
    if refusal is not None:
        return refusal
    if "action_send" in request.POST:
        _send_link(request)
        return redirect("account_email")
    if "action_remove" in request.POST:
        addresses.cancel_change(request.user)
        messages.success(request, _("Your address stays %(email)s.") % {"email": request.user.email})
        return redirect("account_email")
    form = NewEmailForm(request.user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            _change(request, form.cleaned_data["email"])
        except addresses.AddressTaken as error:
            form.add_error("email", str(error))
        else:
            return redirect("account_email")
    is_confirmed = EmailAddress.objects.filter(user=request.user, verified=True).exists()
    context = {
        "form": form,
        "is_unconfirmed": settings.MAILS_ARE_SENT and not is_confirmed,
        "mails_are_sent": settings.MAILS_ARE_SENT,
    }
    return render(request, "account/email_change.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm_new_email(request: HttpRequest, key: str) -> HttpResponse:
    """Where the link to a new address leads: asks whether it is one's own, and makes it the account's."""
    user = addresses.waiting(key)
    if user is None:
        return render(request, "account/email_confirm.html", status=404)
    context = {"confirmation": user, "email": user.new_email, "can_confirm": addresses.is_free(user)}
    if request.method != "POST":
        return render(request, "account/email_confirm.html", context)
    old = addresses.confirmed(user)
    try:
        confirmed = addresses.confirm(key)
    except addresses.AddressTaken:
        return render(request, "account/email_confirm.html", {**context, "can_confirm": False}, status=409)
    if confirmed is None:  # the other of two clicks
        return render(request, "account/email_confirm.html", status=404)
    get_adapter(request).send_notice("account/email/email_changed", old, confirmed.email)
    messages.success(request, _("You now sign in as %(email)s.") % {"email": confirmed.email})
    return redirect("account_email")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def keys(request: SignedIn) -> HttpResponse:
    """List the person's keys; make one, and show its text in this answer only."""
    form, text = KeyForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            # A new password ends this session, and may just have removed the keys: none comes after it.
            user = User.objects.select_for_update().filter(pk=request.user.pk, password=request.user.password).first()
            if user is None:
                return redirect("keys")
            _key, text = ApiKey.create(user, form.cleaned_data["name"], form.cleaned_data["scopes"])
        form = KeyForm()
    status = 422 if form.is_bound and form.errors else 200
    context = {"form": form, "text": text, "keys": ApiKey.objects.filter(user=request.user)}
    return render(request, "account/keys.html", context, status=status)


@require_POST
@login_required
def revoke_key(request: SignedIn, pk: int) -> HttpResponse:
    """Remove one of the person's own keys: it stops working at once."""
    key = get_object_or_404(ApiKey, pk=pk, user=request.user)
    key.delete()
    messages.success(request, _("The key “%(name)s” no longer works.") % {"name": key.name})
    return redirect("keys")


def _change(request: SignedIn, email: str) -> None:
    if settings.MAILS_ARE_SENT:
        addresses.request_change(request.user, email)
        _send_link(request)
        return
    addresses.change(request.user, email, verified=False)
    text = _("You now sign in as %(email)s. This server sends no mail, so nobody checked that the address is yours.")
    messages.success(request, text % {"email": email})


def _send_link(request: SignedIn) -> None:
    """To the address that waits, else to the account's own while that is not confirmed."""
    user = request.user
    if not settings.MAILS_ARE_SENT:
        return
    if not user.new_email:
        sent = send_verification_email_for_user(request, user)
    elif sent := ratelimit.consume(request, action="confirm_email", key=user.new_email):
        get_adapter().send_new_email_mail(user)
    if not sent:
        messages.info(request, _("A link was sent a moment ago: look into your mail, also among the spam."))
