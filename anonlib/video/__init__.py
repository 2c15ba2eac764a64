"""Videos and pictures without recognisable faces: decode, detect, track, anonymize, encode."""
