"""Solutions of chapter 01.

1. The centre is (120, 105), the half sides are 20 and 25; times 1.6 they are 32 and 40. The box is (88,
   65, 152, 145). The second one becomes (-12, -15, 52, 65), and (0, 0, 52, 65) after clipping.
2. Recall at 0.7 falls from about 91% to 15%, and precision with it. The boxes are the same: MTCNN draws
   them taller and narrower than the true squares, so hardly any overlaps by 0.7. A number of a detector
   means little without its IoU and the convention of its boxes. After the enlargement by 1.6, boxes of
   both conventions cover the face.
3. `paste_soft` below.
"""

import torch
import torch.nn.functional as F

from anonlib.geometry import clip_boxes, enlarge_boxes, paste_boxes


def corners(frame, box):
    """The enlarged box as four integers."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * 1.6
    x0, y0 = (centre - half).floor().clamp(min=0).int().tolist()
    x1, y1 = (centre + half).ceil().int().tolist()
    return x0, y0, min(x1, frame.shape[2]), min(y1, frame.shape[1])


def crop_face(frame, box, size):
    """Step 7."""
    x0, y0, x1, y1 = corners(frame, box)
    return F.interpolate(frame[None, :, y0:y1, x0:x1], (size, size), mode="bilinear", antialias=True)[0]


def paste_face(frame, face, box):
    """Step 7."""
    x0, y0, x1, y1 = corners(frame, box)
    result = frame.clone()
    result[:, y0:y1, x0:x1] = F.interpolate(face[None], (y1 - y0, x1 - x0), mode="bilinear", antialias=True)[
        0
    ]
    return result


def paste_soft(frame, face, box):
    """Exercise 3: opacity is 0 at the border of the face and 1 from a tenth of its side inwards."""
    size = face.shape[1]
    place = (torch.arange(size) + 0.5) / size
    ramp = (10 * torch.minimum(place, 1 - place)).clamp(max=1)
    opaque = torch.cat([face, torch.minimum(ramp[:, None], ramp)[None]])
    whole = clip_boxes(enlarge_boxes(box[None]), height=frame.shape[1], width=frame.shape[2])
    return paste_boxes(frame[None], opaque[None], [whole])[0]
