"""Ours: soft targets on the line of classes, one cosine."""

from train.recipes.base import Augmentation, Optimizer, Pace, Recipe, Stage

RECIPE = Recipe(
    name="edge-af",
    stages=(Stage(12, 3e-3, Optimizer.ADAMW, Pace.COSINE, weight_decay=0.05),),
    augmentation=Augmentation.EXACT,
    soft_targets=True,
    rated_batch=512,
)
