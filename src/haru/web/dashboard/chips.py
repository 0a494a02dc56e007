"""The filters in force as a page shows them: a chip each, which reads as a sentence and can be taken away."""

from __future__ import annotations

from dataclasses import dataclass

from haru.web.dashboard import filters
from haru.web.dashboard.filter_form import of_filter
from haru.web.dashboard.state import State


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter."""

    parts: tuple[filters.Part, ...]
    without: str  # the view without it
    at: int | None  # its place, to change it; None for one that no form can hold

    @property
    def text(self) -> str:
        """The whole sentence."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Chips:
    """All of them."""

    chips: tuple[Chip, ...]
    any_of: bool  # one that holds is enough
    other: str  # the view in which all must hold, or any is enough; "" where that makes no difference or no sense
    without: str  # the view without any
    text: str  # all of them as an address has them; "" for none


def chips(state: State) -> Chips:
    """The chips of a view."""
    any_of, trees = filters.parts(state.filters)
    others = [tuple(tree for tree in trees if tree is not gone) for gone in trees]
    shown = tuple(
        Chip(
            tuple(filters.sentence(tree)),
            state.address(filters=filters.joined(any_of, rest)),
            at if of_filter(tree, at) else None,
        )
        for at, (tree, rest) in enumerate(zip(trees, others, strict=True))
    )
    switch = len(trees) > 1 and filters.can_be_any(trees)
    other = state.address(filters=filters.joined(not any_of, trees)) if switch else ""
    return Chips(shown, any_of, other, state.address(filters=()), filters.text_of(state.filters))
