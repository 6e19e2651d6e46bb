"""The supported formats."""

EXTENSIONS = frozenset(
    {".wav", ".wave", ".bwf", ".amb", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".aifc", ".caf"}
    | {".au", ".snd", ".sph", ".nist", ".voc", ".sf", ".ircam", ".avr", ".paf", ".pvf", ".8svx"}
    | {".mp3", ".mp2", ".mpa", ".m2a", ".mpga", ".aac", ".adts", ".ac3", ".eac3", ".ec3", ".dts"}
    | {".ogg", ".oga", ".ogv", ".ogx", ".opus", ".spx", ".wv", ".tta", ".ape", ".mpc", ".tak"}
    | {".m4a", ".m4b", ".m4r", ".m4v", ".mp4", ".f4a", ".f4v", ".mov", ".qt", ".isma", ".ismv"}
    | {".3gp", ".3gpp", ".3g2", ".amr", ".awb", ".webm", ".weba", ".mka", ".mkv"}
    | {".wma", ".wmv", ".asf", ".flv", ".avi", ".divx", ".mpg", ".mpeg", ".vob"}
    | {".ts", ".mts", ".m2ts", ".m2t"}
)
"""File suffixes, in lower case, that count as recordings in a folder: what is read and recognised
by its content."""

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
