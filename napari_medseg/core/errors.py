"""The errors a person may see: what happened, where, and what to do, in one plain sentence."""


class MedsegError(Exception):
    """Anything that went wrong and that a person can do something about."""


class ReadError(MedsegError):
    """A file or folder could not be read, or holds what cannot be placed in space."""


class GeometryError(MedsegError):
    """Two grids do not fit, or a position lies outside the image."""


class SessionError(MedsegError):
    """The session on disk is missing, damaged, newer than this program, or full."""


class WeightsError(MedsegError):
    """A model's weights are missing, damaged, unsafe or made for another network."""


class TaskError(MedsegError):
    """A request does not make sense for its task, method or settings."""
