"""Parts of `bench database`: each module has `measure(settings, small) -> list[Ratio]`."""
