"""Recipes by name. To add one: a file with a RECIPE, and its line here."""

from edge_af.errors import UserError
from train.recipes import edge_af, fine_tune, paper
from train.recipes.base import Recipe

RECIPES = {one.name: one for one in (edge_af.RECIPE, paper.RECIPE, fine_tune.RECIPE)}


def recipe(name: str) -> Recipe:
    """Return a recipe. Raises UserError for a name that there is not."""
    if name not in RECIPES:
        raise UserError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
