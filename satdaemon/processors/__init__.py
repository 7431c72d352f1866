"""What runs a stage: the built-in processors, or a site's own program."""

from satdaemon.processors.base import Processor, Report, settings_of, write_metadata

__all__ = ["Processor", "Report", "settings_of", "write_metadata"]
