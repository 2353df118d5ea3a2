"""What a class of records alike gives away about its members: l-diversity and t-closeness.

Sources: Machanavajjhala, Kifer, Gehrke and Venkitasubramaniam, "l-diversity", ACM TKDD 1(1), 2007, definitions 4.1
(entropy) and 3 (distinct). Li, Li and Venkatasubramanian, "t-closeness", ICDE 2007, section 4 (equal distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus.data.readiness.coded import ROOM, Coded, Integers, dense
from caduceus.kinds import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Diversity:
    """How varied a sensitive column is inside every class; missing counts as a value.

    sizes     int64[classes]: records
    distinct  int64[classes]: different values
    entropy   float64[classes]: exp of the entropy of the values, in [1, distinct]; the l of entropy l-diversity
    distance  float64[classes]: from the values of all records, half the sum of the differences of shares, in [0, 1];
              the t of t-closeness where all values are equally far from each other
    """

    sizes: Integers
    distinct: Integers
    entropy: Floats
    distance: Floats

    def alike(self, k: int, beyond: float = 0.0) -> int:
        """Records in classes of k records or more that all have the same value: known without being singled out.

        beyond  how far the class is from all records at least (`distance`), so that a value which nearly everybody has
                is no news
        """
        told = (self.sizes >= k) & (self.distinct == 1) & (self.distance >= beyond)
        return int(self.sizes[told].sum())

    def least_entropy(self, k: int) -> float:
        """The l of entropy l-diversity over classes of k records or more; NaN if there is none."""
        found = self.entropy[self.sizes >= k]
        return float(found.min()) if len(found) else float("nan")

    def farthest(self, k: int) -> float:
        """The t of t-closeness over classes of k records or more; NaN if there is none."""
        found = self.distance[self.sizes >= k]
        return float(found.max()) if len(found) else float("nan")


def diversity(codes: Integers, count: int, sensitive: Coded) -> Diversity:
    """Measure a sensitive column inside classes.

    codes      int64[rows] in [0, count): class of every record, none of them empty
    sensitive  the column, of the same length
    """
    values, levels = dense(sensitive.codes, sensitive.levels)
    if count * levels <= ROOM * len(codes) + 1024:
        table = np.bincount(codes * levels + values, minlength=count * levels)
        pairs = np.flatnonzero(table)
        number = table[pairs]
    else:
        pairs, number = np.unique(codes * levels + values, return_counts=True)
    of, value = pairs // levels, pairs % levels
    sizes = np.bincount(codes, minlength=count)
    share = number / sizes[of]
    overall = np.bincount(values, minlength=levels) / len(values)
    entropy = np.exp(-np.bincount(of, weights=share * np.log(share), minlength=count))
    # values that a class lacks differ by their whole share, so: sum |p - q| = sum over its own + (1 - sum of their q)
    own = np.bincount(of, weights=np.abs(share - overall[value]), minlength=count)
    lacking = 1 - np.bincount(of, weights=overall[value], minlength=count)
    return Diversity(
        sizes=sizes,
        distinct=np.bincount(of, minlength=count),
        entropy=entropy,
        distance=np.clip((own + lacking) / 2, 0, 1),
    )
