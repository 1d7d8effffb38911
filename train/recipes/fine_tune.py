"""An earlier network, brought to another microscope by a few stacks of it."""

from train.recipes.base import Augmentation, Optimizer, Pace, Recipe, Stage

RECIPE = Recipe(
    name="fine-tune",
    stages=(Stage(20, 5e-4, Optimizer.ADAMW, Pace.COSINE, weight_decay=0.01),),
    augmentation=Augmentation.NONE,
    soft_targets=True,
    patience=6,
    rated_batch=128,
)
