from __future__ import annotations

import torch

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces
from anonlib.world.face_model import FaceModel, normals
from anonlib.world.faces import BACKGROUND, CLOTHES, synthetic_faces
from recipes.measure_live import EXPRESSION, state_reader


def test_the_reader_knows_the_expression_that_was_drawn():
    people = range(10)
    width = 8 + FaceModel.load().components + BACKGROUND + CLOTHES
    drawn = torch.cat([normals(person, 5, 0, shape=(4, width)) for person in people])[:, EXPRESSION]
    faces, errors = synthetic_faces(people, images=4, size=64, seed=5), []
    for shown in (faces, anonymize_faces(faces, create("mask"))):
        with torch.inference_mode():
            read = state_reader()(shown.images.float() / 255).state[:, EXPRESSION]
        errors.append(float((read - drawn).square().mean().sqrt()))
    assert errors[0] < 0.6 < 0.8 < errors[1]
