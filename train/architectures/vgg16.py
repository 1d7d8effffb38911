"""VGG16 (Simonyan & Zisserman 2014) with the paper's head."""

import keras

from train.architectures.paper_head import with_paper_head

ARCHITECTURE = with_paper_head("vgg16", keras.applications.VGG16)
