"""The page of API keys. Everything else under /account/ is allauth's, with our templates."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from haru.accounts.forms import KeyForm
from haru.accounts.models import ApiKey, User


class SignedIn(HttpRequest):
    """The request that `login_required` lets through."""

    user: User


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def keys(request: SignedIn) -> HttpResponse:
    """List the person's keys; make one, and show its text in this answer only."""
    form, text = KeyForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        _key, text = ApiKey.create(request.user, form.cleaned_data["name"], form.cleaned_data["scopes"])
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
