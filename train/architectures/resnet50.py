"""ResNet50 (He et al. 2015) with the paper's head."""

import keras

from train.architectures.paper_head import with_paper_head

ARCHITECTURE = with_paper_head("resnet50", keras.applications.ResNet50)
