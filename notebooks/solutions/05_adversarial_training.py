"""Solutions of chapter 05.

1. D minimises (2 + 10) / 2 + 3 * (1 + 3) / 2 = 12, M minimises -(2 + 7) / 2 = -4.5. The second face is above
   the ceiling: it counts as 7, a constant, and gives no gradient. Only the first face moves M.
2. No. The faces that are still below the ceiling determine the gradient, all faces share the weights of
   M, and Adam's momentum continues. So the peak is lower, but far above 5: a ceiling limits the gradient,
   not the loss. With clear_weight=0 the middle curve changes most, in D's second turns: nothing keeps D
   good at clear faces. M would then fool D only because D is bad.
3. `spare_the_background` below. It removes the pull on the head, so nothing asks for the old person any
   more. But nothing asks for a face either: a critic, or a picture of somebody else to compare with (as
   `l1_target`), has to.
"""

import torch
import torch.nn.functional as F_

from anonlib.training import identification_loss, modify_frames


def instance_norm(x):
    """Step 2."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def convolve(x, conv):
    """Given in step 2."""
    border = conv.kernel_size[0] // 2
    return conv(F_.pad(x, [border] * 4, mode="reflect"))


def residual_block(x, first, second):
    """Step 2."""
    y = F_.relu(instance_norm(convolve(x, first)))
    return x + instance_norm(convolve(y, second))


def layers_of(modifier):
    """Given in step 2."""
    return [part for part in modifier.modules() if isinstance(part, torch.nn.Conv2d)]


def paint(faces, modifier):
    """Step 2."""
    layers = layers_of(modifier)
    x = 2 * faces - 1
    for conv in layers[:3]:
        x = F_.relu(instance_norm(convolve(x, conv)))
    for n in range(3, len(layers) - 3, 2):
        x = residual_block(x, layers[n], layers[n + 1])
    for conv in layers[-3:-1]:
        x = F_.relu(instance_norm(convolve(F_.interpolate(x, scale_factor=2), conv)))
    return (torch.tanh(convolve(x, layers[-1])) + 1) / 2


def equation_2(on_modified, on_clear, clear_weight, ceiling):
    """Step 4."""
    return on_modified.mean() + clear_weight * on_clear.mean(), -on_modified.clamp(max=ceiling).mean()


def line_3(players, optimizer, faces, rules, ease):
    """Step 5."""
    with torch.no_grad():
        modified = players.modifier(faces.images)  # line 2
    on_modified = identification_loss(players.classifier, modified, faces, anneal=ease)
    on_clear = identification_loss(players.classifier, faces.images, faces, anneal=ease)
    for_d, _ = equation_2(on_modified, on_clear, rules.clear_weight, rules.adversarial_ceiling)
    optimizer.zero_grad()
    for_d.backward()
    optimizer.step()


def line_9(players, optimizers, faces, frames, rules, ease):
    """Step 5."""
    modified = players.modifier(faces.images)
    on_modified = identification_loss(players.classifier, modified, faces, anneal=ease)
    _, adversarial = equation_2(on_modified, on_modified, rules.clear_weight, rules.adversarial_ceiling)
    l1 = rules.l1_weight * (modified - faces.images).abs().mean()
    v_new = modify_frames(players.modifier, frames.frames, frames.regions)  # lines 5 to 8
    detection = sum(players.detector.losses(v_new, frames.boxes, frames.labels).values())
    for optimizer in optimizers:
        optimizer.zero_grad()
    (detection + adversarial + l1).backward()
    for optimizer in optimizers:
        optimizer.step()


def spare_the_background(modified, original, mask, weight):
    """Exercise 3: Eq. (3) over the pixels outside the head."""
    outside = (1 - mask).expand_as(original)
    return weight * ((modified - original).abs() * outside).sum() / outside.sum()
