"""Solutions of chapter 07.

1. Ascent: M minimises log 0.7 = -0.36, without a lower bound. Random labels: (0.36 + 1.61 + 2.30) / 3 = 1.42.
   It is smallest for p = (1/3, 1/3, 1/3): log 3 = 1.10. So random labels ask for a D that does not know,
   ascent for a D that is sure of anybody else.
2. It hardly changes: 92% with 12 and with 48 draws. The part that all labels share is most of the
   direction as long as D is sure of the face; averaging removes only the rest. After 30 updates under
   random labels L_D is 6.9, near log 400 = 6.0, the loss of guessing. Under ascent it is 450 and still
   rises.
3. `uniform_label` below. Its gradient is the same every time: 100%. It is the average that random labels only
   approach, so M gets the same target without the noise.
"""

from dataclasses import replace

import torch

from anonlib import angular_softmax_loss
from anonlib.geometry import align_faces
from anonlib.training import identification_loss


def random_label(classifier, modified, faces, ease):
    """Step 1."""
    labels = torch.randint(len(classifier.identities), (len(faces.labels),))
    return identification_loss(classifier, modified, replace(faces, labels=labels), anneal=ease).mean()


def uniform_label(classifier, modified, faces, ease):
    """Exercise 3."""
    features = classifier(align_faces(modified, faces.landmarks, classifier.config.size))
    people = len(classifier.identities)
    labels = torch.arange(people).repeat(len(features))
    repeated = features.repeat_interleave(people, dim=0)
    margin = classifier.config.margin
    return angular_softmax_loss(repeated, classifier.identities, labels, margin=margin, anneal=ease).mean()
