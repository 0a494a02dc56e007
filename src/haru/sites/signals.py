"""What the sites tell the rest of the process, after the transaction that changed them is committed."""

from __future__ import annotations

from django.dispatch import Signal

#: Sites, their tokens or their zones changed, and the file on disk says so already.
changed = Signal()

#: A site was deleted. Carries `site_id`: int.
deleted = Signal()

#: Someone may no longer see a site, or must sign in again: a person was removed or has another password, a shared link
#: was revoked. Carries `site_id`: int.
rights_changed = Signal()
