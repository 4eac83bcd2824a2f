"""The field for microns per pixel of a slide whose file does not say them."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox

NO_MPP = (
    "The file of this slide does not say how large its pixels are. Type microns per pixel in the "
    "tab Index: 0.25 is usual for 40x, 0.5 for 20x."
)


class MppBox(QDoubleSpinBox):
    """Microns per pixel at full size; 0 as long as they are not known."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0.0, 1000.0)
        self.setDecimals(4)
        self.setSingleStep(0.05)
        self.setSuffix(" µm/px")
        self.setSpecialValueText("not known")
        self.setToolTip(
            "Microns per pixel of this slide at full size, which its file does not say: 0.25 is "
            "usual for 40x, 0.5 for 20x"
        )
        self.setAccessibleName("Microns per pixel of the slide")

    def show_value(self, mpp: float | None) -> None:
        """Show what is known; nobody hears of it."""
        former = self.blockSignals(True)
        self.setValue(mpp or 0.0)
        self.blockSignals(former)
