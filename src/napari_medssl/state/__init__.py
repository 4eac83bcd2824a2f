"""What a person makes and selects: plain classes with events. No Qt, no torch."""
