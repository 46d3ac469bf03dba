"""What a recording shows: lag, from waveforms alone."""
