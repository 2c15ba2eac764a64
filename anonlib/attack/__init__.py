"""Face recognisers that attack anonymized faces, and how many people they still recognise."""

from anonlib.attack.landmarks import found_landmarks as found_landmarks
from anonlib.attack.passwords import bit_by_bit as bit_by_bit, unlocked as unlocked
from anonlib.attack.verification import (
    VerificationResult as VerificationResult,
    anonymize_faces as anonymize_faces,
    compare_clear_and_modified as compare_clear_and_modified,
    face_features as face_features,
    recognisability as recognisability,
    similarities as similarities,
    verify_features as verify_features,
    verify_scores as verify_scores,
)
