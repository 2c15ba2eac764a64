"""Solutions of chapter 09.

1. A: 0.8, B: 0.8; between: (0 + 0.6 + 0.6 + 0.96) / 4 = 0.54. With the pictures themselves the diagonal is
   (1 + 0.8 + 0.8 + 1) / 4 = 0.9: every method looks consistent, the more the fewer pictures a person has.
2. Above, in both: 0.71 and 0.30 instead of 0.08 and 0.07, and 0.20 instead of 0.04. A face of 8 by 8 pixels
   still has its owner's colours and shape. People are told apart in 85% of the pairs, by a D that was not
   even retrained. The check objects because a blur, unlike a mask, does not make everybody alike.
3. `halves` below. With ten pictures a person, 4 of the 9 others share the code, so *within* should be near
   4/9 of 0.76 and 5/9 of 0.08, that is 0.38; measured: 0.39. People are told apart in 67% of the pairs; it
   was 51% with a new person each time, and 99% with one new person.
"""

import numpy as np


def consistency_matrix(first, second, labels):
    """Step 3."""
    people = labels.max() + 1
    same_picture = np.eye(len(labels), dtype=bool)
    cosines = np.where(same_picture, np.nan, first @ second.T)
    rows = [[cosines[np.ix_(labels == p, labels == q)] for q in range(people)] for p in range(people)]
    return np.array([[np.nanmean(block) for block in row] for row in rows])


def halves(labels):
    """Exercise 3: the track of every picture, with a new track after half of a person's pictures."""
    labels = np.asarray(labels)
    tracks = 2 * labels
    for person in np.unique(labels):
        own = np.flatnonzero(labels == person)
        tracks[own[len(own) // 2 :]] += 1
    return tracks
