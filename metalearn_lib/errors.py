"""Errors that more than one room raises: a training or an inner loop whose loss is no longer a number."""


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite."""


class InnerLoopDiverged(TrainingDiverged):
    """The loss of an inner loop became NaN or infinite."""
