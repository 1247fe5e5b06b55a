"""Runs of several networks: kept on disk, summed up, judged, and held against what was asked."""
