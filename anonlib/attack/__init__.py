"""Face recognisers that attack anonymized faces, and how many people they still recognise."""

from anonlib.attack.verification import (
    VerificationResult,
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    recognisability,
    similarities,
    verify_features,
    verify_scores,
)
