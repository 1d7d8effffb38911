import numpy as np
import pytest

from convert.meaning import in_ascending_order, meaning_of
from convert.settle import settled
from convert.trial import attempts, no_better_than_chance
from edge_af.errors import UserError
from edge_af.scale import PAPER41_LABELS, DefocusScale

SCALE = DefocusScale.paper41()
ALPHABETICAL = meaning_of(41, sorted(PAPER41_LABELS), None)
NUMERIC = in_ascending_order(ALPHABETICAL)


def answers(meaning, defocus_um, rng, sureness=1.0):
    """Logits of a network whose outputs mean `meaning`: near the truth, not always on it."""
    apart_um = meaning.scale.centres_um - defocus_um[:, None] - rng.normal(0, 0.6, (200, 1))
    return -sureness * apart_um**2


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def defocus_um(rng):
    return rng.uniform(-12.5, 12.5, 200)


def test_what_fits_is_best_and_nothing_speaks_against_it(rng, defocus_um):
    tried = attempts(
        {
            "unit": answers(ALPHABETICAL, defocus_um, rng),
            "signed": rng.normal(0, 1, (200, 41)),
        },
        "unit",
        ALPHABETICAL,
        defocus_um,
    )
    assert (tried[0].preprocess, tried[0].order) == ("unit", "as given")
    assert not any(each.far_better for each in tried)
    assert settled(tried, "unit", 41, anyway=False) == ("unit", [])


def test_numeric_labels_for_an_alphabetical_network_are_found_out(rng, defocus_um):
    logits = {"unit": answers(ALPHABETICAL, defocus_um, rng)}
    tried = attempts(logits, "unit", NUMERIC, defocus_um)
    assert (tried[0].order, tried[0].far_better) == ("alphabetical", True)
    with pytest.raises(UserError, match=r"labels alphabetical.*--labels folders.*Nothing was"):
        settled(tried, "unit", 41, anyway=False)
    _, warnings = settled(tried, "unit", 41, anyway=True)
    assert "the data speak against what was given" in warnings[0]


def test_exchanged_signs_are_found_out(rng, defocus_um):
    logits = {"unit": answers(NUMERIC, -defocus_um, rng)}
    tried = attempts(logits, "unit", NUMERIC, defocus_um)
    assert (tried[0].order, tried[0].far_better) == ("signs exchanged", True)
    with pytest.raises(UserError, match="look at the sign"):
        settled(tried, "unit", 41, anyway=False)


def test_another_preprocessing_is_found_out(rng, defocus_um):
    logits = {
        "unit": answers(NUMERIC, defocus_um, rng),
        "signed": answers(NUMERIC, defocus_um + rng.normal(0, 3, 200), rng),
    }
    tried = attempts(logits, "signed", NUMERIC, defocus_um)
    with pytest.raises(UserError, match="give --preprocess unit"):
        settled(tried, "signed", 41, anyway=False)


def test_without_a_preprocessing_the_data_say_which_but_it_is_not_guessed(rng, defocus_um):
    logits = {"unit": rng.normal(0, 1, (200, 41)), "torch": answers(NUMERIC, defocus_um, rng)}
    tried = attempts(logits, "unit", NUMERIC, defocus_um)
    with pytest.raises(UserError, match=r"how were the pixels scaled.*: --preprocess torch: top-1"):
        settled(tried, None, 41, anyway=False)


def test_an_untrained_network_gets_a_warning_and_no_verdict(rng, defocus_um):
    logits = {name: rng.normal(0, 0.1, (200, 41)) for name in ("unit", "signed")}
    tried = attempts(logits, "unit", NUMERIC, defocus_um)
    assert no_better_than_chance(tried[0], 41)
    preprocess, warnings = settled(tried, "unit", 41, anyway=False)
    assert preprocess == "unit"
    assert "untrained" in warnings[0]


@pytest.mark.parametrize("seed", range(20))
def test_chance_alone_never_speaks_against_what_fits(seed):
    rng = np.random.default_rng(seed)
    defocus_um = rng.uniform(-12.5, 12.5, 200)
    # Two preprocessings that a network cannot tell apart.
    logits = {name: answers(NUMERIC, defocus_um, rng) for name in ("unit", "signed")}
    tried = attempts(logits, "signed", NUMERIC, defocus_um)
    assert not tried[0].far_better
