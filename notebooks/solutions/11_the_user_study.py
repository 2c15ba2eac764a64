"""Solutions of chapter 11.

1. 10 / (10 + 1.96^2) = 72% to 100%; the other formula gives 100% to 100%, as if ten people could prove
   that everybody says yes. Print Wilson's.
2. 12 of 15 are enough: their interval begins at 55%, that of 16 of 20 at 58%, that of 80 of 100 at 71%. With
   1280 of 2400, Q1's interval is 51% to 55%. Now it excludes 50%, so the check objects: the same share,
   "close to guessing", would then show that people do a little better. Whether an interval holds 50% says as
   much about the number of answers as about M.
3. `answers_needed` below: 864 for 53.3%, nearly four times the paper's 240 (a few larger numbers are not
   enough, because counts are whole). No: the formula counts independent answers, and answers of one
   person, or to one pair, are not (step 6).
"""

from math import sqrt


def wilson(k, n, z=1.96):
    """Step 2."""
    share = k / n
    middle = share + z**2 / (2 * n)
    reach = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)


def answers_needed(share, chance):
    """Exercise 3, for a share above chance."""
    n = 1
    while wilson(round(share * n), n)[0] <= chance:
        n += 1
    return n
