"""What the sites tell the rest of the process, after the transaction that changed them is committed."""

from __future__ import annotations

from django.dispatch import Signal

#: Sites, their tokens or their zones changed, and the mirror on disk says so already.
changed = Signal()

#: A site was deleted. Carries `site_id`: int.
deleted = Signal()

#: Someone may no longer see a site: a person was removed or a shared link revoked. Carries `site_id`: int.
rights_changed = Signal()
