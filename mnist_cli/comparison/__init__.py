"""Runs of several networks: kept on disk, summarised, judged, and compared with thresholds."""
