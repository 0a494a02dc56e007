"""Every page of Haru. `haru.server.application` serves before Django sees them: /api/collect and its sisters, /health,
/js/haru.js, /sites/<domain>/live and /share/<slug>/live."""

from __future__ import annotations

from django.urls import include, path

from haru.accounts import views as accounts
from haru.sites.pages import annotations as note_pages
from haru.sites.pages import sharing
from haru.sites.pages import views as sites
from haru.web.api import annotations as notes
from haru.web.api import events, goals, links, query, segments, suggestions
from haru.web.api import refusals as api_refusals
from haru.web.api import sites as api_sites
from haru.web.api.reference import docs, openapi
from haru.web.api.v1 import endpoints
from haru.web.dashboard import export, share
from haru.web.dashboard import segments as dashboard_segments
from haru.web.dashboard import suggestions as dashboard_suggestions
from haru.web.dashboard import views as dashboard
from haru.web.dashboard.home import home
from haru.web.refusals import views as refusals

urlpatterns = [
    path("", home, name="home"),
    path("account/login/", accounts.SignIn.as_view(), name="account_login"),
    path("account/signup/", accounts.Register.as_view(), name="account_signup"),
    path("account/password/reset/", accounts.ForgottenPassword.as_view(), name="account_reset_password"),
    path("account/email/", accounts.email, name="account_email"),
    path("account/email/<str:key>/", accounts.confirm_new_email, name="confirm-new-email"),
    path("account/keys", accounts.keys, name="keys"),
    path("account/keys/<int:pk>/revoke", accounts.revoke_key, name="revoke-key"),
    path("account/", include("allauth.account.urls")),
    path("sites", sites.index, name="sites"),
    path("sites/new", sites.new, name="new-site"),
    path("sites/<str:domain>", dashboard.dashboard, name="dashboard"),
    path("sites/<str:domain>/panels/<str:panel>", dashboard.panel, name="panel"),
    path("sites/<str:domain>/suggestions", dashboard_suggestions.suggestions, name="suggestions"),
    path("sites/<str:domain>/filter", dashboard.panel, {"panel": "filter"}, name="filter"),
    path("sites/<str:domain>/filter/values", dashboard.panel, {"panel": "filter-values"}, name="filter-values"),
    path("sites/<str:domain>/segments", dashboard_segments.segments, name="segments"),
    path("sites/<str:domain>/segments/<int:pk>", dashboard_segments.segment, name="segment"),
    path("sites/<str:domain>/segments/<int:pk>/delete", dashboard_segments.delete_segment, name="delete-segment"),
    path("sites/<str:domain>/export.zip", export.whole, name="export"),
    path("sites/<str:domain>/export/<str:tab>.csv", export.breakdown, name="export-breakdown"),
    path("sites/<str:domain>/refusals", refusals.page, name="refusals"),
    path("sites/<str:domain>/annotations", note_pages.every, name="annotations"),
    path("sites/<str:domain>/annotations/<int:pk>", note_pages.single, name="annotation"),
    path("sites/<str:domain>/annotations/<int:pk>/delete", note_pages.delete, name="delete-annotation"),
    path("sites/<str:domain>/snippet", sites.snippet, name="snippet"),
    path("sites/<str:domain>/settings", sites.edit, name="site-settings"),
    path("sites/<str:domain>/settings/counting", sites.counting, name="site-counting"),
    path("sites/<str:domain>/settings/goals", sharing.goals, name="site-goals"),
    path("sites/<str:domain>/settings/goals/<int:pk>/delete", sharing.delete_goal, name="delete-goal"),
    path("sites/<str:domain>/settings/links", sharing.shared_links, name="site-links"),
    path("sites/<str:domain>/settings/links/<int:pk>/revoke", sharing.revoke_link, name="revoke-link"),
    path("sites/<str:domain>/settings/token", sites.rotate_token, name="rotate-token"),
    path("sites/<str:domain>/settings/people", sites.add_person, name="add-person"),
    path("sites/<str:domain>/settings/people/<int:user_id>/remove", sites.remove_person, name="remove-person"),
    path("sites/<str:domain>/settings/delete", sites.delete, name="delete-site"),
    path("share/<str:slug>", share.page, name="shared"),
    path("share/<str:slug>/panels/<str:panel>", share.panel, name="shared-panel"),
    path("share/<str:slug>/suggestions", share.suggestions, name="shared-suggestions"),
    path("share/<str:slug>/filter", share.panel, {"panel": "filter"}, name="shared-filter"),
    path("share/<str:slug>/filter/values", share.panel, {"panel": "filter-values"}, name="shared-filter-values"),
    path("api/v1/annotations", notes.every, name="annotations-api"),
    path("api/v1/annotations/<int:pk>", notes.single, name="annotation-api"),
    path("api/v1/export/events", events.events, name="events-api"),
    path("api/v1/refusals", api_refusals.refusals, name="refusals-api"),
    path("api/v1/sites", api_sites.sites, name="sites-api"),
    path("api/v1/sites/goals", goals.goals, name="goals-api"),
    path("api/v1/sites/goals/<int:pk>", goals.goal, name="goal-api"),
    path("api/v1/sites/shared-links", links.shared_links, name="links-api"),
    path("api/v1/sites/shared-links/<int:pk>", links.shared_link, name="link-api"),
    path("api/v1/sites/segments", segments.segments, name="segments-api"),
    path("api/v1/sites/segments/<int:pk>", segments.segment, name="segment-api"),
    path("api/v1/sites/<str:domain>", api_sites.site, name="site-api"),
    path("api/v1/stats/realtime/visitors", endpoints.realtime, name="realtime-api"),
    path("api/v1/stats/aggregate", endpoints.aggregate, name="aggregate-api"),
    path("api/v1/stats/timeseries", endpoints.timeseries, name="timeseries-api"),
    path("api/v1/stats/breakdown", endpoints.breakdown, name="breakdown-api"),
    path("api/docs", docs.page, name="api-docs"),
    path("api/openapi.json", openapi.openapi, name="openapi"),
    path("api/v2/query", query.query, name="query"),
    path("api/v2/query/explain", query.explained, name="explain"),
    path("api/v2/suggestions", suggestions.suggestions, name="suggestions-api"),
]

handler400 = "haru.web.project.errors.bad_request"
handler403 = "haru.web.project.errors.forbidden"
handler404 = "haru.web.project.errors.not_found"
handler429 = "haru.web.project.errors.too_many"
handler500 = "haru.web.project.errors.server_error"
