"""Which runs tell how long a training takes: those that had their machine to themselves."""

from collections.abc import Sequence

from mnist_cli.schema.comparison import ModelRuns, Run


def timed(models: Sequence[ModelRuns]) -> dict[str, tuple[Run, ...]]:
    """The runs of each network whose times may be compared; none where they are of two machines."""
    alone = {
        model.model: tuple(run for run in model.runs if run.runs_at_once == 1) for model in models
    }
    machines = {(run.host, run.processor) for runs in alone.values() for run in runs}
    return alone if len(machines) < 2 else dict.fromkeys(alone, ())
