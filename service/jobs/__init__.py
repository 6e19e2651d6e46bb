"""Jobs: recordings that are taken in now and transcribed when there is capacity."""
