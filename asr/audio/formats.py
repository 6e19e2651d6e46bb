"""The supported formats."""

EXTENSIONS = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
    | {".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".ogv", ".opus", ".spx", ".aac", ".ac3", ".eac3"}
    | {".m4a", ".m4b", ".m4r", ".m4v", ".mp4", ".mov", ".3gp", ".3g2", ".amr", ".awb"}
    | {".webm", ".weba", ".mka", ".mkv", ".wma", ".wmv", ".asf", ".flv", ".f4v", ".avi"}
    | {".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".wv", ".tta", ".ape"}
)
"""File suffixes, in lower case, that count as recordings in a folder."""

# FFmpeg also reads playlists and scripts, with which a file could make it open other files and
# addresses. Only formats that contain their own audio are allowed.
CONTAINERS = (
    "mov,matroska,aac,mp3,ogg,flac,wav,w64,aiff,caf,au,asf,amr,flv,mpegts,mpeg,avi,"
    "ac3,eac3,wv,tta,ape,dts,mpc,mpc8,tak"
)
TIMED = frozenset({"mov", "matroska", "mpegts", "mpeg", "asf", "flv", "avi", "ogg"})
"""Those with a timestamp for each packet."""
RESTARTED = frozenset({"mpegts", "mpeg"})
"""Those whose clock may be reset within a file."""
KNOW_THEIR_LENGTH = frozenset({"mov", "matroska", "flac", "wav", "w64", "aiff", "caf", "tta", "wv"})
"""Those whose header has the length; for others FFmpeg estimates it from the bit rate."""
