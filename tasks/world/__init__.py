"""The sample world: a small closed world whose every question has exactly one right answer."""
