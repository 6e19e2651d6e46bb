"""`asr fit`: Lightning's command line around our module and data."""
