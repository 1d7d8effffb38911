"""Which side of a data set each specimen goes to."""

from collections.abc import Sequence

import numpy as np

from edge_af.errors import UserError


def draw_splits(
    groups: Sequence[str], validation_share: float, test_share: float, seed: int
) -> dict[str, str]:
    """Return the split of each group, which stays whole: a field, or a slide.

    A split with a share above 0 gets one group at least. Raises UserError for too few groups.
    """
    names = sorted(set(groups))
    wanted = {"validation": validation_share, "test": test_share}
    sizes = {
        split: max(1, round(share * len(names))) for split, share in wanted.items() if share > 0
    }
    train = validation_share + test_share < 1
    if sum(sizes.values()) + train > len(names):
        sides = [*(("train",) if train else ()), *sizes]
        raise UserError(
            f"{len(names)} {'field' if len(names) == 1 else 'fields or slides'} cannot be split "
            f"into {', '.join(sides)}: collect more, or give --validation-share 0 or 1"
        )
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    result = dict.fromkeys(names, "train")
    for split, size in sizes.items():
        result |= dict.fromkeys(order[:size], split)
        order = order[size:]
    if not train:  # rounding may leave one over
        last = list(sizes)[-1]
        result |= {name: last for name, split in result.items() if split == "train"}
    return result
