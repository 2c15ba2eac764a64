"""All hyper-parameters, each once: the paper's experiment in four profiles, and the related methods.

`paper` has the values of Ren, Lee and Ryoo (ECCV 2018) where the paper gives them: shapes, learning rates,
momentum, and the drop of the learning rates after 7 of 12 epochs. Widths, features and margin are those of
the networks that the paper cites. The paper gives no lambda, T1, T2 or batch sizes. These, and all fields
that have no counterpart in the paper, are our choice. The default of a new field must be what was done
before it, because requests of older runs lack it.

`workstation` trains on real faces and clips in an evening on two CPU cores. `laptop` is a smaller experiment
of 18 minutes on two idle cores. `smoke` is `laptop` with a few people and steps, for tests. The files:

    paper               networks M, D and A, data, and Algorithm 1
    profiles            the paper's experiment in four sizes
    ciagan, live, fit   the related methods, a file each

>>> profile("paper").modifier.blocks
9
>>> profile("laptop").detector.backbone
'small'
"""

from __future__ import annotations

from anonlib.config.checks import to_dict as to_dict
from anonlib.config.ciagan import CiaganConfig as CiaganConfig, CiaganTraining as CiaganTraining
from anonlib.config.fit import FitConfig as FitConfig, FitTraining as FitTraining
from anonlib.config.live import (
    LIVE_STRENGTHS as LIVE_STRENGTHS,
    LiveConfig as LiveConfig,
    LiveTraining as LiveTraining,
)
from anonlib.config.paper import (
    ENLARGE as ENLARGE,
    OBJECTIVES as OBJECTIVES,
    ClassifierConfig as ClassifierConfig,
    DataConfig as DataConfig,
    DetectorConfig as DetectorConfig,
    ModifierConfig as ModifierConfig,
    TrainingConfig as TrainingConfig,
)
from anonlib.config.profiles import Profile as Profile, profile as profile, profiles as profiles

METHOD = "swap"
"""How `anonlib anonymize` and `anonlib.video` hide faces unless another method is named."""
DETECTOR = "centerface"
"""How they find faces unless another detector is named."""
