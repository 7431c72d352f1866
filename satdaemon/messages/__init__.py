"""Messages to people, from the outbox to their addresses: the one sender, and what it watches by itself.

On this floor because it drives both `satdaemon.db` and `satdaemon.notify`, which do not know each other.
"""

from satdaemon.messages.archives import tell_silent_archives
from satdaemon.messages.sender import Turn, send
from satdaemon.messages.watch import full_disks, watch

__all__ = ["Turn", "full_disks", "send", "tell_silent_archives", "watch"]
