"""Who trains the runs of a comparison: this process, or workers here and on other machines."""
