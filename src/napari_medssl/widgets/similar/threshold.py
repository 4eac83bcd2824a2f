"""The least similarity that counts: one for the heatmap and for the counts of all slides."""

from __future__ import annotations

from psygnal import Signal


class Threshold:
    """A similarity that a person chose, else the one that is proposed for the present hits.

    Attributes
    ----------
    changed
        Another one holds.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.chosen: float | None = None
        """What a person chose, None as long as nobody did: a heatmap then shows all tiles."""
        self.proposed = 0.0
        """The similarity of the last hit."""

    @property
    def value(self) -> float:
        """What tiles are counted by."""
        return self.proposed if self.chosen is None else self.chosen

    def choose(self, similarity: float | None) -> None:
        """Take what a person chose; None for none any more."""
        if similarity != self.chosen:
            self.chosen = similarity
            self.changed.emit()

    def propose(self, similarity: float) -> None:
        """Take the similarity that stands where nobody chose one."""
        if similarity != self.proposed:
            self.proposed = similarity
            self.changed.emit()
