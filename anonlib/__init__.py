"""Learning to anonymize faces so that actions can still be detected (Ren, Lee, Ryoo; ECCV 2018).

Importing the package loads nothing else; take what you need from its modules:

>>> from anonlib.config import profile
>>> profile("laptop").modifier.size
64
"""

__version__ = "0.1.0"
