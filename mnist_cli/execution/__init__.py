"""Trains the runs of a comparison, in this process or in workers here or on other machines."""
