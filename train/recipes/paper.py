"""How Markosyan's classifier was trained: a frozen base for 15 epochs, 5 more of fine-tuning."""

from train.recipes.base import Augmentation, Learns, Optimizer, Recipe, Stage

RECIPE = Recipe(
    name="paper",
    stages=(
        Stage(15, 1e-3, Optimizer.ADAM, learns=Learns.HEAD),
        Stage(5, 1e-5, Optimizer.ADAM, learns=Learns.LAST),
    ),
    augmentation=Augmentation.PAPER,
    soft_targets=False,
    patience=10,
    min_delta=0.001,
)
