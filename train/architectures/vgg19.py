"""VGG19 (Simonyan & Zisserman 2014) with the paper's head."""

import keras

from train.architectures.paper_head import with_paper_head

ARCHITECTURE = with_paper_head("vgg19", keras.applications.VGG19)
